// SPDX-License-Identifier: Apache-2.0
// Why a request was not answered: an absl::Status that carries a stable reason and, where it
// helps, what would have worked. server/rpc/status_mapping.cc turns it into gRPC error details.
#pragma once

#include <optional>
#include <string_view>

#include "absl/status/status.h"

#include "base/clock.h"
#include "server/telemetry/outcome.h"

namespace tailor {

enum class Refusal {
  kInvalidArgument,
  kTooLarge,
  kUnknownVariant,
  kUnsupportedOutput,
  kBudgetInfeasible,
  kQualityInfeasible,
  kOverloaded,
  kDeadline,
  kCancelled,
  kNotReady,
  kEngine,
  kDeviceLost,
};

// The name on the wire, e.g. "BUDGET_INFEASIBLE"; listed in proto/tailor/v1/ranker.proto.
std::string_view RefusalName(Refusal refusal);

struct RefusalDetails {
  Refusal refusal = Refusal::kEngine;
  std::optional<Duration> smallest_feasible_budget;
  std::optional<Duration> retry_after;
};

// The status code follows from the refusal.
absl::Status MakeRefusal(const RefusalDetails& details, std::string_view message);

absl::Status PastDeadline();
absl::Status DeviceLost();

// The details of a status made by MakeRefusal; for any other error, details inferred from its code.
RefusalDetails GetRefusal(const absl::Status& status);

// As metrics count it; kOk for an OK status.
Outcome OutcomeOf(Refusal refusal);
Outcome OutcomeOf(const absl::Status& status);

}  // namespace tailor
