// SPDX-License-Identifier: Apache-2.0
// What most policies share: they choose among variants of known quality.
#pragma once

#include <span>

#include "server/pipeline/selector.h"

namespace tailor {

class QualityPolicy : public Selector {
 public:
  // Those of known quality; one that is alone needs none.
  VariantSet Choosable(std::span<const VariantState> variants) const override;

  // kDegraded when a better one would have been in time on an idle server.
  SelectionReason Reason(const QueueEntry& entry, int variant, const QueueSnapshot& queue,
                         std::span<const VariantState> variants) const override;
};

}  // namespace tailor
