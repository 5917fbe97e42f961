// SPDX-License-Identifier: Apache-2.0
// The best quality whose predicted finish meets every deadline: those of the batch, and those
// behind it that a cheaper choice would have met.
#pragma once

#include <span>

#include "server/pipeline/selector.h"

namespace tailor {

class TailoredPolicy : public Selector {
 public:
  VariantSet Choosable(std::span<const VariantState> variants) const override;
  Selection Select(const QueueSnapshot& queue, std::span<const VariantState> variants,
                   TimePoint now) override;
  SelectionReason Reason(const QueueEntry& entry, int variant, const QueueSnapshot& queue,
                         std::span<const VariantState> variants) const override;
};

}  // namespace tailor
