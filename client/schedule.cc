// SPDX-License-Identifier: Apache-2.0
#include "client/schedule.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"

#include "base/status_macros.h"

namespace tailor::client {
namespace {

constexpr Duration kMaxBudget = std::chrono::seconds(60);
constexpr size_t kMaxBudgets = 16;
constexpr double kMaxSquaredCv = 100;
constexpr double kMaxTraceSeconds = 30 * 24 * 3600.0;

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

absl::StatusOr<Duration> ParseBudget(std::string_view text) {
  if (text == "none") return Duration::zero();
  TAILOR_ASSIGN_OR_RETURN(const Duration budget, ParseDuration(text));
  if (budget <= Duration::zero() || budget > kMaxBudget) {
    return absl::InvalidArgumentError(
        absl::StrCat("budget: expected above 0 and at most 60s, got \"", View(text), "\""));
  }
  return budget;
}

// Seconds between two calls.
std::function<double()> MakeGaps(const ScheduleSpec& spec, std::mt19937_64& random) {
  const double mean = 1 / spec.rate;
  switch (spec.arrivals.kind) {
    case Arrivals::Kind::kConstant:
      return [mean] { return mean; };
    case Arrivals::Kind::kPoisson:
      return [&random, gap = std::exponential_distribution<double>(spec.rate)]() mutable {
        return gap(random);
      };
    case Arrivals::Kind::kGamma: {
      // A gamma variable of shape k has the squared coefficient of variation 1/k.
      const double cv2 = spec.arrivals.squared_cv;
      return [&random, gap = std::gamma_distribution<double>(1 / cv2, mean * cv2)]() mutable {
        return gap(random);
      };
    }
  }
  return [mean] { return mean; };
}

absl::Status CheckSpec(const ScheduleSpec& spec) {
  if (spec.budgets.empty()) return absl::InvalidArgumentError("budgets: expected at least one");
  if (!(spec.rate > 0) || !std::isfinite(spec.rate)) {
    return absl::InvalidArgumentError(absl::StrCat("rate: expected above 0, got ", spec.rate));
  }
  const double calls = spec.rate * ToSeconds(spec.duration);
  if (!(calls <= static_cast<double>(kMaxPlannedCalls))) {
    return absl::InvalidArgumentError(absl::StrCat("rate x duration: expected at most ",
                                                   kMaxPlannedCalls, " calls, got ", calls));
  }
  return absl::OkStatus();
}

// Index of `budget` in `budgets`, which grows by it when it is new.
absl::StatusOr<int> FindOrAddBudget(Duration budget, std::vector<BudgetShare>* budgets) {
  for (size_t i = 0; i < budgets->size(); ++i) {
    if ((*budgets)[i].budget == budget) return static_cast<int>(i);
  }
  if (budgets->size() >= kMaxBudgets) {
    return absl::InvalidArgumentError(
        absl::StrCat("budgets: expected at most ", kMaxBudgets, " different ones"));
  }
  budgets->push_back({budget, 0});
  return static_cast<int>(budgets->size()) - 1;
}

}  // namespace

int DrawBudget(const std::vector<BudgetShare>& budgets, std::mt19937_64& random) {
  double left = std::uniform_real_distribution<double>(0, 1)(random);
  for (size_t i = 0; i + 1 < budgets.size(); ++i) {
    left -= budgets[i].share;
    if (left < 0) return static_cast<int>(i);
  }
  return static_cast<int>(budgets.size()) - 1;
}

absl::StatusOr<Duration> ParseDuration(std::string_view text) {
  absl::Duration duration;
  if (!absl::ParseDuration(View(text), &duration) || duration < absl::ZeroDuration() ||
      duration > absl::Hours(24 * 30)) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected a duration such as 20ms or 1.5s, got \"", View(text), "\""));
  }
  return Duration(absl::ToInt64Nanoseconds(duration));
}

absl::StatusOr<std::vector<BudgetShare>> ParseBudgetMix(std::string_view text) {
  std::vector<BudgetShare> mix;
  double total = 0;
  for (const absl::string_view part : absl::StrSplit(View(text), ',')) {
    const std::pair<absl::string_view, absl::string_view> fields =
        absl::StrSplit(part, absl::MaxSplits(':', 1));
    const absl::string_view name = absl::StripAsciiWhitespace(fields.first);
    TAILOR_ASSIGN_OR_RETURN(const Duration budget, ParseBudget({name.data(), name.size()}));
    double weight = 1;
    const bool has_weight = part.find(':') != absl::string_view::npos;
    if (has_weight &&
        (!absl::SimpleAtod(fields.second, &weight) || !(weight > 0) || !std::isfinite(weight))) {
      return absl::InvalidArgumentError(
          absl::StrCat("budget: expected BUDGET:WEIGHT with a weight above 0, got \"", part, "\""));
    }
    const size_t known = mix.size();
    TAILOR_ASSIGN_OR_RETURN(const int index, FindOrAddBudget(budget, &mix));
    if (static_cast<size_t>(index) < known) {
      return absl::InvalidArgumentError(absl::StrCat("budget: \"", name, "\" is named twice"));
    }
    mix[static_cast<size_t>(index)].share = weight;
    total += weight;
  }
  for (BudgetShare& share : mix) share.share /= total;
  return mix;
}

absl::StatusOr<Arrivals> ParseArrivals(std::string_view text) {
  if (text == "poisson") return Arrivals{Arrivals::Kind::kPoisson, 1};
  if (text == "constant") return Arrivals{Arrivals::Kind::kConstant, 0};
  double cv2 = 0;
  if (text.starts_with("gamma:") && absl::SimpleAtod(View(text.substr(6)), &cv2) && cv2 > 0 &&
      cv2 <= kMaxSquaredCv) {
    return Arrivals{Arrivals::Kind::kGamma, cv2};
  }
  return absl::InvalidArgumentError(
      absl::StrCat("arrivals: expected poisson, constant or gamma:CV2 (0 < CV2 <= ", kMaxSquaredCv,
                   "), got \"", View(text), "\""));
}

absl::StatusOr<std::vector<PlannedCall>> BuildSchedule(const ScheduleSpec& spec) {
  TAILOR_RETURN_IF_ERROR(CheckSpec(spec));
  std::mt19937_64 random(spec.seed);
  const std::function<double()> next_gap = MakeGaps(spec, random);
  std::vector<PlannedCall> calls;
  const double end = ToSeconds(spec.duration);
  for (double at = 0; at < end && calls.size() < kMaxPlannedCalls; at += next_gap()) {
    calls.push_back({FromSeconds(at), DrawBudget(spec.budgets, random), spec.documents_per_call});
  }
  return calls;
}

absl::StatusOr<TraceLine> ParseTraceLine(std::string_view text) {
  const absl::string_view line = View(text);
  const std::vector<absl::string_view> fields =
      absl::StrSplit(line, absl::ByAnyChar(" \t,"), absl::SkipEmpty());
  TraceLine parsed;
  if (fields.empty() || fields.size() > 3 || !absl::SimpleAtod(fields[0], &parsed.offset) ||
      !(parsed.offset >= 0) || parsed.offset > kMaxTraceSeconds) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected SECONDS [BUDGET [DOCUMENTS]], got \"", line, "\""));
  }
  if (fields.size() > 1) {
    TAILOR_ASSIGN_OR_RETURN(parsed.budget, ParseBudget({fields[1].data(), fields[1].size()}));
  }
  if (fields.size() > 2) {
    int documents = 0;
    if (!absl::SimpleAtoi(fields[2], &documents) || documents < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("documents: expected a count, got \"", fields[2], "\""));
    }
    parsed.documents = documents;
  }
  return parsed;
}

absl::StatusOr<Trace> ParseTrace(std::string_view text, const ScheduleSpec& spec) {
  Trace trace{{}, spec.budgets};
  std::mt19937_64 random(spec.seed);
  double first = 0;
  double previous = 0;
  int line_number = 0;
  for (absl::string_view line : absl::StrSplit(View(text), '\n')) {
    ++line_number;
    line = absl::StripAsciiWhitespace(line);
    if (line.empty() || line.front() == '#') continue;
    const auto failed = [&](absl::string_view what) {
      return absl::InvalidArgumentError(absl::StrCat("trace line ", line_number, ": ", what));
    };
    const absl::StatusOr<TraceLine> parsed = ParseTraceLine({line.data(), line.size()});
    if (!parsed.ok()) return failed(parsed.status().message());
    if (trace.calls.empty()) first = previous = parsed->offset;
    if (parsed->offset < previous) return failed("offsets must not decrease");
    previous = parsed->offset;
    const Duration offset = FromSeconds(parsed->offset - first);
    if (spec.duration > Duration::zero() && offset >= spec.duration) break;
    PlannedCall call{offset, 0, parsed->documents.value_or(spec.documents_per_call)};
    if (parsed->budget) {
      const absl::StatusOr<int> index = FindOrAddBudget(*parsed->budget, &trace.budgets);
      if (!index.ok()) return failed(index.status().message());
      call.budget = *index;
    } else {
      call.budget = DrawBudget(spec.budgets, random);
    }
    trace.calls.push_back(call);
    if (trace.calls.size() > kMaxPlannedCalls) return failed("too many calls");
  }
  if (trace.calls.empty()) return absl::InvalidArgumentError("trace: expected at least one call");
  return trace;
}

}  // namespace tailor::client
