// SPDX-License-Identifier: Apache-2.0
// When each call of a load run is meant to be sent, decided before the run: open-loop load does not
// wait for answers, so the schedule depends on nothing but its description and the seed. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

#include "base/clock.h"

namespace tailor::client {

// One share of the budget mix.
struct BudgetShare {
  Duration budget{};  // zero: no budget is sent, the server's default counts
  double share = 1;   // of the calls; the shares of a mix sum to 1
};

// "20ms:0.5,50ms:0.5", "20ms" (all calls), "20ms,50ms" (equal shares), "none:1" (no budget).
// Weights are positive and are normalised. At most 16 different budgets, at most 60 s each.
absl::StatusOr<std::vector<BudgetShare>> ParseBudgetMix(std::string_view text);

struct Arrivals {
  enum class Kind { kPoisson, kGamma, kConstant };
  Kind kind = Kind::kPoisson;
  // Squared coefficient of variation of the gaps: 0 constant, 1 Poisson, above 1 bursty.
  double squared_cv = 1;
};

// "poisson", "constant" or "gamma:CV2" with CV2 in (0, 100].
absl::StatusOr<Arrivals> ParseArrivals(std::string_view text);

struct PlannedCall {
  Duration offset{};  // from the start of the run; never decreasing
  int budget = 0;     // index into the budget mix
  int documents = 0;
};

struct ScheduleSpec {
  double rate = 0;      // calls a second
  Duration duration{};  // calls are planned in [0, duration)
  Arrivals arrivals;
  std::vector<BudgetShare> budgets;
  int documents_per_call = 0;
  uint64_t seed = 1;
};

// At most kMaxPlannedCalls, so that a slip of the rate does not fill the memory.
constexpr int64_t kMaxPlannedCalls = 10'000'000;
absl::StatusOr<std::vector<PlannedCall>> BuildSchedule(const ScheduleSpec& spec);

// A line of a trace.
struct TraceLine {
  double offset = 0;               // seconds
  std::optional<Duration> budget;  // zero: none
  std::optional<int> documents;
};
// `text` is neither empty nor a comment.
absl::StatusOr<TraceLine> ParseTraceLine(std::string_view text);

// A recorded schedule, one call a line: the send offset in seconds, then optionally the budget and
// the number of documents, separated by blanks or commas: "0.0125 20ms 32". Empty lines and
// lines that start with # are skipped. Offsets must not decrease; the first is moved to zero.
// Missing budgets are drawn from `spec.budgets`, missing document counts are
// `spec.documents_per_call`; rate, duration (unless positive: a limit) and arrivals are not used.
struct Trace {
  std::vector<PlannedCall> calls;
  std::vector<BudgetShare> budgets;  // spec.budgets, then those that only the trace names (share 0)
};
absl::StatusOr<Trace> ParseTrace(std::string_view text, const ScheduleSpec& spec);

// Draws an index of the mix in proportion to the shares.
int DrawBudget(const std::vector<BudgetShare>& budgets, std::mt19937_64& random);

// "20ms", "1.5s", "2m": a number with a unit. Not negative.
absl::StatusOr<Duration> ParseDuration(std::string_view text);

}  // namespace tailor::client
