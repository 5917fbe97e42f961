// SPDX-License-Identifier: Apache-2.0
// How one batch is divided among the threads of an engine: a pure function of its lengths.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tailor {

// Either every thread has whole sequences of its own and meets nobody, or all threads share all
// sequences by rows (tokens) and meet once a layer, before attention reads everybody's keys. Few
// rows leave products waiting for their weights: then threads divide each product by its outputs,
// so that each weight is read by one of them, and meet before and after it; all else is by rows.
struct SplitPlan {
  bool is_shared = false;
  bool shares_outputs = false;  // only when is_shared
  // Whole sequences: thread t has sequences[first[t] .. first[t + 1]), indices into the batch.
  std::vector<int> sequences;  // [num_sequences], a permutation; in batch order when shared
  std::vector<int> first;      // [threads + 1]
  // Shared: thread t has rows [first_row[t], first_row[t + 1]) of the batch. The bounds, but for
  // the last, are multiples of 16, or of the given unit when a share is at most 32 rows, so that
  // products in buckets of rows (product.h) never write into another thread's rows and tiles are
  // never shared.
  std::vector<int> first_row;  // [threads + 1]

  std::vector<int64_t> load;  // scratch: cost a thread
};

struct SplitLimits {
  int max_shared_rows = 0;
  int max_output_rows = 0;  // of batches whose outputs are shared, at most max_shared_rows
  int min_unit = 4;         // 4 or 16
};

// Fills `plan`; allocates only when its vectors are too small (see ReservePlan). offsets as in
// Batch. The batch is shared when its outputs are, or when whole sequences would leave the threads
// more than a tenth of the time idle and it has at most max_shared_rows tokens.
void PlanSplit(std::span<const int32_t> offsets, int threads, const SplitLimits& limits,
               SplitPlan& plan);
void ReservePlan(int max_sequences, int threads, SplitPlan& plan);

}  // namespace tailor
