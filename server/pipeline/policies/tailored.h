// SPDX-License-Identifier: Apache-2.0
// The best quality whose predicted finish meets every deadline: those of the batch, and those
// behind it that a cheaper choice would have met.
#pragma once

#include <span>

#include "server/pipeline/policies/quality_policy.h"

namespace tailor {

class TailoredPolicy : public QualityPolicy {
 public:
  Selection Select(const QueueSnapshot& queue, std::span<const VariantState> variants,
                   TimePoint now) override;
};

}  // namespace tailor
