// SPDX-License-Identifier: Apache-2.0
// What would be chosen for given lengths and a budget, and why: for people, off the hot path.
#pragma once

#include <span>

#include "server/pipeline/admission.h"
#include "server/pipeline/cascade.h"
#include "server/pipeline/selector.h"
#include "server/pipeline/status_report.h"

namespace tailor {

struct ExplainContext {
  std::span<const ServedVariant> served;
  std::span<const VariantState> variants;
  const Selector& selector;
  const Admission& admission;
  const CascadeTable* cascade = nullptr;  // null: no cascades
  BatchLimits limits;
  Duration reply_margin{};
  TimePoint now;
};

// With the load as it is now, for a Rank call with its cascade on.
Explanation ExplainChoice(const ExplainContext& context, const ExplainQuery& query,
                          const QueueLoad& load);

}  // namespace tailor
