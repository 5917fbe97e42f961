// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/refusal.h"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace tailor {
namespace {

// Payload: "<refusal>|<smallest feasible budget>|<retry after>", times in ns, empty when absent.
constexpr char kPayloadUrl[] = "tailor/refusal";

struct RefusalRow {
  Refusal refusal;
  std::string_view name;
  absl::StatusCode code;
  Outcome outcome;
};

constexpr std::array<RefusalRow, 12> kTable = {{
    {Refusal::kInvalidArgument, "INVALID_ARGUMENT", absl::StatusCode::kInvalidArgument,
     Outcome::kInvalidArgument},
    {Refusal::kTooLarge, "TOO_LARGE", absl::StatusCode::kResourceExhausted, Outcome::kTooLarge},
    {Refusal::kUnknownVariant, "UNKNOWN_VARIANT", absl::StatusCode::kNotFound,
     Outcome::kUnknownVariant},
    {Refusal::kUnsupportedOutput, "UNSUPPORTED_OUTPUT", absl::StatusCode::kFailedPrecondition,
     Outcome::kUnsupportedOutput},
    {Refusal::kBudgetInfeasible, "BUDGET_INFEASIBLE", absl::StatusCode::kFailedPrecondition,
     Outcome::kBudgetInfeasible},
    {Refusal::kQualityInfeasible, "QUALITY_INFEASIBLE", absl::StatusCode::kFailedPrecondition,
     Outcome::kQualityInfeasible},
    {Refusal::kOverloaded, "OVERLOADED", absl::StatusCode::kResourceExhausted,
     Outcome::kOverloaded},
    {Refusal::kDeadline, "DEADLINE", absl::StatusCode::kDeadlineExceeded, Outcome::kDeadline},
    {Refusal::kCancelled, "CANCELLED", absl::StatusCode::kCancelled, Outcome::kCancelled},
    {Refusal::kNotReady, "NOT_READY", absl::StatusCode::kUnavailable, Outcome::kNotReady},
    {Refusal::kEngine, "ENGINE", absl::StatusCode::kInternal, Outcome::kEngine},
    {Refusal::kDeviceLost, "DEVICE_LOST", absl::StatusCode::kUnavailable, Outcome::kDeviceLost},
}};

const RefusalRow& RowOf(Refusal refusal) { return kTable[static_cast<size_t>(refusal)]; }

std::string Field(std::optional<Duration> time) { return time ? absl::StrCat(time->count()) : ""; }

std::optional<Duration> TimeOf(const std::string& field) {
  int64_t count = 0;
  if (!absl::SimpleAtoi(field, &count)) return std::nullopt;
  return Duration(count);
}

Refusal InferredFrom(absl::StatusCode code) {
  for (const RefusalRow& row : kTable) {
    // Its code is shared with overload, which is what other modules mean by it.
    if (row.refusal != Refusal::kTooLarge && row.code == code) return row.refusal;
  }
  return Refusal::kEngine;
}

}  // namespace

std::string_view RefusalName(Refusal refusal) { return RowOf(refusal).name; }

Outcome OutcomeOf(Refusal refusal) { return RowOf(refusal).outcome; }

Outcome OutcomeOf(const absl::Status& status) {
  return status.ok() ? Outcome::kOk : OutcomeOf(GetRefusal(status).refusal);
}

absl::Status MakeRefusal(const RefusalDetails& details, std::string_view message) {
  absl::Status status(RowOf(details.refusal).code, {message.data(), message.size()});
  status.SetPayload(kPayloadUrl, absl::Cord(absl::StrCat(static_cast<int>(details.refusal), "|",
                                                         Field(details.smallest_feasible_budget),
                                                         "|", Field(details.retry_after))));
  return status;
}

absl::Status PastDeadline() {
  return MakeRefusal({.refusal = Refusal::kDeadline}, "the deadline has passed");
}

absl::Status DeviceLost() {
  return MakeRefusal({.refusal = Refusal::kDeviceLost}, "the device is lost and the server ends");
}

RefusalDetails GetRefusal(const absl::Status& status) {
  const absl::optional<absl::Cord> payload = status.GetPayload(kPayloadUrl);
  if (!payload) return {.refusal = InferredFrom(status.code())};
  const std::vector<std::string> fields = absl::StrSplit(std::string(*payload), '|');
  RefusalDetails details;
  int index = 0;
  if (absl::SimpleAtoi(fields[0], &index)) details.refusal = static_cast<Refusal>(index);
  if (fields.size() == 3) {
    details.smallest_feasible_budget = TimeOf(fields[1]);
    details.retry_after = TimeOf(fields[2]);
  }
  return details;
}

}  // namespace tailor
