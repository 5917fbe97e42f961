// SPDX-License-Identifier: Apache-2.0
// The requests of a snapshot as a price of time meets them, and who of them has to be given up.
#pragma once

#include <span>
#include <vector>

#include "server/pipeline/policies/ladder.h"
#include "server/pipeline/policies/time_price.h"
#include "server/pipeline/selector.h"

namespace tailor {

// Not thread-safe. `ladder` outlives it.
class PricedQueue {
 public:
  explicit PricedQueue(const Ladder* ladder) : ladder_(*ladder) {}

  void Describe(const QueueSnapshot& queue, std::span<const VariantState> variants, TimePoint now);
  // Returns who cannot be answered in time any more and, if even the cheapest variants cannot serve
  // the rest, the least important, of these the largest, until they can (Moore and Hodgson's rule).
  // Their items cost nothing and are in nobody's way afterwards.
  std::vector<int> GiveUp(const QueueSnapshot& queue, std::span<const VariantState> variants);

  // One an entry.
  const std::vector<PricedItem>& items() const { return items_; }
  const std::vector<bool>& given_up() const { return given_up_; }

 private:
  PricedItem ItemOf(const QueueEntry& entry, std::span<const VariantState> variants,
                    const BatchLimits& limits, TimePoint now) const;
  bool IsLost(const QueueEntry& entry, const PricedItem& item,
              std::span<const VariantState> variants, const BatchLimits& limits) const;
  // At the cheapest that the request admits.
  double LeastSeconds(const QueueEntry& entry, const PricedItem& item,
                      std::span<const VariantState> variants, const BatchLimits& limits) const;
  // Of the first `end` entries, who is to go first; `end` - 1 when nobody else is.
  size_t Victim(const QueueSnapshot& queue, size_t end) const;

  const Ladder& ladder_;
  std::vector<PricedItem> items_;
  std::vector<bool> given_up_;
};

}  // namespace tailor
