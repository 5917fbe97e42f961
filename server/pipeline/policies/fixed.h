// SPDX-License-Identifier: Apache-2.0
// One variant for every request without a pin: what serving without a choice does, and the
// baseline "Clipper+" of SuperServe (Khare et al., NSDI 2025). Batches hold what stays in time.
#pragma once

#include <span>

#include "server/pipeline/policies/quality_policy.h"

namespace tailor {

class FixedPolicy final : public QualityPolicy {
 public:
  explicit FixedPolicy(int variant) : variant_(variant) {}

  VariantSet Choosable(std::span<const VariantState>) const override {
    return OneVariant(variant_);
  }
  Selection Select(const QueueSnapshot& queue, std::span<const VariantState> variants,
                   TimePoint now) override;

 private:
  const int variant_;
};

}  // namespace tailor
