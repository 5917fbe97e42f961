// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/policies/tailored.h"

#include <utility>
#include <vector>

#include "server/pipeline/batch_filling.h"

namespace tailor {
namespace {

// When nothing meets every deadline the cheapest comes closest.
Filling Choose(const BatchFilling& filling, const std::vector<int>& by_quality, int cheapest) {
  for (const int variant : by_quality) {
    if (variant == cheapest) break;
    Filling candidate = filling.Fill(variant);
    if (filling.MeetsDeadlines(candidate, cheapest)) return candidate;
  }
  return filling.Fill(cheapest);
}

}  // namespace

Selection TailoredPolicy::Select(const QueueSnapshot& queue, std::span<const VariantState> variants,
                                 TimePoint now) {
  Selection selection;
  for (size_t head = 0; head < queue.entries.size(); ++head) {
    const QueueEntry& entry = queue.entries[head];
    const int cheapest = CheapestVariant(variants, entry.admissible, entry.waiting, queue.limits);
    const bool is_hopeless =
        cheapest < 0 || AloneSeconds(variants[static_cast<size_t>(cheapest)].cost, entry.waiting,
                                     queue.limits) > ToSeconds(entry.deadline - now);
    if (is_hopeless) {
      selection.hopeless.push_back(static_cast<int>(head));
      continue;
    }
    const BatchFilling filling(queue, variants, now, head);
    Filling chosen =
        Choose(filling, ByQuality(variants, entry.admissible, entry.waiting), cheapest);
    selection.variant = chosen.variant;
    selection.portions = std::move(chosen.portions);
    selection.predicted_seconds = chosen.seconds;
    selection.reason = Reason(entry, chosen.variant, queue, variants);
    return selection;
  }
  return selection;
}

}  // namespace tailor
