// SPDX-License-Identifier: Apache-2.0
// Every activation of the CPU engine, planned once from the loaded variants and the batch limits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/aligned_buffer.h"
#include "engine/api/batch.h"
#include "engine/cpu/kernels/attention.h"
#include "engine/cpu/kernels/half_attention.h"
#include "engine/cpu/packed_model.h"
#include "engine/cpu/rows.h"

namespace tailor {

// Owns the memory for rows of any width up to the planned one.
class RowBuffer {
 public:
  // Makes room for at least rows * width values, and as many in tiles of tile_value_bytes each
  // (0: no tiles); keeps what is large enough.
  void Grow(size_t rows, size_t width, size_t tile_value_bytes = 0);

  // Rows of `width` (at most the planned one), with tiles of `input`.
  Rows View(size_t width, const StepInput& input = {});
  // The same memory as rows of halves when `is_half`, else as View(width).
  Rows View(size_t width, bool is_half);

 private:
  AlignedBuffer<float> f32_;
  AlignedBuffer<std::byte> tiles_;
  AlignedBuffer<float> scales_;
};

// What attention needs of all rows of a group of sequences: one for each thread, or one that the
// threads share.
struct GroupMemory {
  RowBuffer hidden;              // [rows, hidden]
  RowBuffer query_key_value[2];  // [rows, 3 * attention_dim]; two, so that shared layers need one
                                 // barrier each: the next layer's never overwrites what others read
  RowBuffer context;             // [rows, attention_dim]
};

// What one thread needs for itself.
struct ThreadMemory {
  GroupMemory group;
  RowBuffer product;        // [kMaxProductRows, hidden] outputs of the two products before a norm
  RowBuffer product_sum;    // the same size: `product` of all threads, added (SumProducts)
  RowBuffer inner;          // [kMaxProductRows, widest panel]
  RowBuffer first_hidden;   // [max_sequences, hidden] first rows in front of the last layer's rest
  RowBuffer first_query;    // [max_sequences, attention_dim]
  RowBuffer first_context;  // [max_sequences, attention_dim]
  AlignedBuffer<float> attention_scratch;
  AlignedBuffer<std::byte> half_attention_scratch;
  AlignedBuffer<std::byte> step_scratch;
  std::vector<int> first_sequences;  // which sequence each of the first rows belongs to
};

class Workspace {
 public:
  Workspace(const BatchLimits& limits, int threads);

  // Makes everything large enough for `model` too. Allocates; Run never does.
  void Grow(const PackedModel& model);

  // Most rows that threads may share (SplitPlan): the longest sequence, or a group each.
  int max_shared_rows() const { return max_shared_rows_; }
  GroupMemory& shared() { return shared_; }
  // out[r] = sum over threads of their product rows first_row + r.
  void SumProducts(int first_row, int rows, const Rows& out);
  ThreadMemory& thread(int i) { return threads_[i]; }

 private:
  const BatchLimits limits_;
  const int max_group_rows_;
  const int max_shared_rows_;
  GroupMemory shared_;
  std::vector<ThreadMemory> threads_;
};

}  // namespace tailor
