// SPDX-License-Identifier: Apache-2.0
// What a batch with a given variant would hold, and whom it would make late.
#pragma once

#include <span>
#include <vector>

#include "server/pipeline/selector.h"

namespace tailor {

struct Filling {
  int variant = -1;
  std::vector<Portion> portions;
  WorkShape work;
  double seconds = 0;  // of the batch
};

// Batches that start with the entry `head`. What it is given outlives it.
class BatchFilling {
 public:
  BatchFilling(const QueueSnapshot& queue, std::span<const VariantState> variants, TimePoint now,
               size_t head);

  // Rows of the head until the batch is full, then of later entries that may run with `variant`,
  // stay in time with it, and would not do better in a batch of their own. Never empty.
  Filling Fill(int variant) const;

  // The head is in time, and so is everyone behind whom the same batch with `cheapest` would leave
  // in time.
  bool MeetsDeadlines(const Filling& filling, int cheapest) const;

 private:
  // Adds rows of an entry until the batch is full; returns how many.
  int AddRows(const QueueEntry& entry, const CostCoefficients& cost, WorkShape* work) const;
  bool MayJoin(const QueueEntry& entry, const Filling& filling, double time_left) const;
  double TimeLeft(const QueueEntry& entry) const { return ToSeconds(entry.deadline - now_); }
  // From the start of the batch until the entry is done, when `rows` of it are in the batch.
  double FinishSeconds(const QueueEntry& entry, int rows, int variant, double batch_seconds) const;
  const CostCoefficients& CostOf(int variant) const {
    return variants_[static_cast<size_t>(variant)].cost;
  }

  const QueueSnapshot& queue_;
  const std::span<const VariantState> variants_;
  const TimePoint now_;
  const size_t head_;
};

}  // namespace tailor
