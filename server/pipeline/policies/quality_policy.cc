// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/policies/quality_policy.h"

namespace tailor {

VariantSet QualityPolicy::Choosable(std::span<const VariantState> variants) const {
  if (variants.size() == 1) return OneVariant(0);
  VariantSet set;
  for (size_t i = 0; i < variants.size(); ++i) {
    if (variants[i].quality) set.set(i);
  }
  return set;
}

SelectionReason QualityPolicy::Reason(const QueueEntry& entry, int variant,
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
