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

// Variants of unknown quality are chosen by pin only, or when there is nothing else.
VariantSet TailoredPolicy::Choosable(std::span<const VariantState> variants) const {
  if (variants.size() == 1) return OneVariant(0);
  VariantSet set;
  for (size_t i = 0; i < variants.size(); ++i) {
    if (variants[i].quality) set.set(i);
  }
  return set;
}

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

SelectionReason TailoredPolicy::Reason(const QueueEntry& entry, int variant,
                                       const QueueSnapshot& queue,
                                       std::span<const VariantState> variants) const {
  if (entry.is_pinned) return SelectionReason::kPin;
  const int idle = BestInTime(variants, entry.admissible, entry.total, queue.limits, queue.safety,
                              ToSeconds(entry.deadline - entry.arrival));
  if (idle < 0 || idle == variant) return SelectionReason::kFit;
  const double wanted = variants[static_cast<size_t>(idle)].quality.value_or(0);
  const double got = variants[static_cast<size_t>(variant)].quality.value_or(0);
  return got < wanted ? SelectionReason::kDegraded : SelectionReason::kFit;
}

}  // namespace tailor
