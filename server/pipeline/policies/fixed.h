// SPDX-License-Identifier: Apache-2.0
// One variant for every request without a pin: what serving without a choice does, and the
// baseline "Clipper+" of SuperServe (Khare et al., NSDI 2025).
#pragma once

#include "server/pipeline/policies/tailored.h"

namespace tailor {

class FixedPolicy final : public TailoredPolicy {
 public:
  explicit FixedPolicy(int variant) : variant_(variant) {}

  VariantSet Choosable(std::span<const VariantState>) const override {
    return OneVariant(variant_);
  }

 private:
  const int variant_;
};

}  // namespace tailor
