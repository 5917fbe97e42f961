// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/admission.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "server/pipeline/refusal.h"

namespace tailor {
namespace {

using Shares = std::array<double, kNumPriorities>;

// The part of the queue's bounds that each priority may use up: what is left keeps the more
// important ones going when the server is full.
constexpr Shares kSharesOfQueue = {0.8, 0.9, 1.0};
// The same of the time that a request can wait. Less is kept back, for the more important push the
// others out, and what is kept back is lost when there are none.
constexpr Shares kSharesOfTime = {0.9, 0.95, 1.0};

constexpr double kLeastRetrySeconds = 0.001;

double Of(const Shares& shares, int priority) {
  return shares[static_cast<size_t>(std::clamp(priority, 0, kNumPriorities - 1))];
}

// Why less is let in than predicted; empty when that is not so.
std::string Caution(const QueueLoad& load) {
  if (load.backstop_factor <= 1) return "";
  return absl::StrFormat("; the queue stands, so that predictions count %.1f times",
                         load.backstop_factor);
}

absl::Status Overloaded(double retry_seconds, absl::string_view message) {
  return MakeRefusal({.refusal = Refusal::kOverloaded,
                      .retry_after = FromSeconds(std::max(retry_seconds, kLeastRetrySeconds))},
                     {message.data(), message.size()});
}

std::string Millis(double seconds) { return absl::StrFormat("%.1f ms", seconds * 1e3); }

double Seconds(const QueueEntry& entry, const BatchLimits& limits, int num_workers,
               std::span<const VariantState> variants) {
  const CostCoefficients& cost = variants[static_cast<size_t>(entry.cheapest)].cost;
  return SharedSeconds(cost, entry.waiting, limits) / num_workers;
}

}  // namespace

Duration Admission::SmallestBudget(const Demand& demand, int variant,
                                   std::span<const VariantState> variants) const {
  const CostCoefficients& cost = variants[static_cast<size_t>(variant)].cost;
  const double engine = options_.safety * AloneSeconds(cost, demand.work, limits_.Get());
  // Rounded up, so that asking for exactly this is granted.
  const double seconds = ToSeconds(demand.spent + options_.reply_margin) + engine;
  return std::chrono::microseconds(static_cast<int64_t>(std::ceil(seconds * 1e6)));
}

double Admission::WaitSeconds(TimePoint deadline, int priority, const QueueLoad& load,
                              std::span<const VariantState> variants) const {
  // Those that came before with the same deadline and priority go first.
  const QueueKey key{deadline - options_.reply_margin, priority,
                     std::numeric_limits<uint64_t>::max()};
  const BatchLimits limits = limits_.Get();
  double wait = load.busy_seconds;
  for (const auto& [other, item] : load.items) {
    if (key < other) break;
    if (!load.Counts(item.entry)) continue;
    wait += load.backstop_factor * Seconds(item.entry, limits, load.num_workers, variants);
  }
  return options_.safety * wait;
}

double Admission::Allowed(int priority, const QueueLoad& load, double seconds) const {
  const double running = std::min(options_.safety * load.busy_seconds, seconds);
  return running + Of(kSharesOfTime, priority) * (seconds - running);
}

absl::Status Admission::JudgeBounds(int priority, int64_t tokens, const QueueTotals& waiting,
                                    double retry_seconds) const {
  const double share = Of(kSharesOfQueue, priority);
  const double max_requests = share * options_.max_queued_requests;
  if (waiting.requests + 1 > max_requests) {
    return Overloaded(retry_seconds,
                      absl::StrCat("queue: expected at most ", static_cast<int64_t>(max_requests),
                                   " requests at priority ", priority, ", got one more"));
  }
  const double max_tokens = share * static_cast<double>(options_.max_queued_tokens);
  if (static_cast<double>(tokens) > max_tokens) {
    return MakeRefusal({.refusal = Refusal::kTooLarge},
                       absl::StrCat("request: expected at most ", static_cast<int64_t>(max_tokens),
                                    " tokens, got ", tokens));
  }
  if (static_cast<double>(waiting.tokens + tokens) > max_tokens) {
    return Overloaded(
        retry_seconds,
        absl::StrCat("queue: expected at most ", static_cast<int64_t>(max_tokens),
                     " tokens at priority ", priority, ", got ", waiting.tokens + tokens));
  }
  return absl::OkStatus();
}

absl::Status Admission::JudgeArrival(const Demand& demand, const QueueLoad& load,
                                     std::span<const VariantState> variants, TimePoint now) const {
  const double wait = WaitSeconds(demand.deadline, demand.priority, load, variants);
  const QueueTotals all{.requests = load.waiting.requests + load.tokenizing.requests,
                        .tokens = load.waiting.tokens + load.tokenizing.tokens};
  absl::Status bounds = JudgeBounds(demand.priority, demand.work.tokens, all, wait);
  if (!bounds.ok()) return bounds;
  const double left = ToSeconds(demand.deadline - options_.reply_margin - now);
  const double allowed = Allowed(demand.priority, load, left);
  if (wait == 0 || wait <= allowed) return absl::OkStatus();
  // What an idle server could not answer either is refused after tokenising, with what would do.
  const BatchLimits limits = limits_.Get();
  const int cheapest = CheapestVariant(variants, demand.admissible, demand.work, limits);
  if (cheapest < 0) return absl::OkStatus();
  const CostCoefficients& cost = variants[static_cast<size_t>(cheapest)].cost;
  if (AloneSeconds(cost, demand.work, limits) > left) return absl::OkStatus();
  return Overloaded(wait - allowed,
                    absl::StrCat("the backlog is ", Millis(wait), " and the time left ",
                                 Millis(left), Caution(load)));
}

absl::Status Admission::InfeasibleBudget(const Demand& demand, int cheapest,
                                         std::span<const VariantState> variants) const {
  const Duration needed = SmallestBudget(demand, cheapest, variants);
  return MakeRefusal(
      {.refusal = Refusal::kBudgetInfeasible, .smallest_feasible_budget = needed},
      absl::StrCat("budget: expected at least ", Millis(ToSeconds(needed)), " (variant ",
                   IdOf(cheapest), ", ", demand.work.tokens, " tokens), got ",
                   Millis(ToSeconds(demand.deadline - demand.arrival))));
}

absl::Status Admission::InfeasibleQuality(const Demand& demand, int cheapest, int instead,
                                          std::span<const VariantState> variants) const {
  const Duration needed = SmallestBudget(demand, cheapest, variants);
  const double quality = variants[static_cast<size_t>(instead)].quality.value_or(0);
  return MakeRefusal(
      {.refusal = Refusal::kQualityInfeasible, .smallest_feasible_budget = needed},
      absl::StrCat("min_quality: expected a budget of at least ", Millis(ToSeconds(needed)),
                   " (variant ", IdOf(cheapest), "), got ",
                   Millis(ToSeconds(demand.deadline - demand.arrival)), ", which allows quality ",
                   absl::StrFormat("%.3f", quality), " (variant ", IdOf(instead), ")"));
}

Verdict Admission::JudgeIdle(const Demand& demand, std::span<const VariantState> variants) const {
  const BatchLimits limits = limits_.Get();
  const int cheapest = CheapestVariant(variants, demand.admissible, demand.work, limits);
  if (cheapest < 0) {
    return {MakeRefusal({.refusal = Refusal::kNotReady},
                        "every variant that could answer has failed repeatedly"),
            -1};
  }
  const Duration budget = demand.deadline - demand.arrival;
  if (SmallestBudget(demand, cheapest, variants) <= budget) return {absl::OkStatus(), cheapest};
  const double engine_time = ToSeconds(budget - demand.spent - options_.reply_margin);
  const int instead =
      BestInTime(variants, demand.any_quality, demand.work, limits, options_.safety, engine_time);
  if (instead >= 0 && demand.any_quality != demand.admissible) {
    return {InfeasibleQuality(demand, cheapest, instead, variants), cheapest};
  }
  return {InfeasibleBudget(demand, cheapest, variants), cheapest};
}

bool Admission::WouldMakeLate(const Demand& demand, double wait, double own, const QueueLoad& load,
                              std::span<const VariantState> variants, TimePoint now) const {
  const QueueKey key{demand.deadline - options_.reply_margin, demand.priority,
                     std::numeric_limits<uint64_t>::max()};
  const BatchLimits limits = limits_.Get();
  double without = wait;
  for (auto item = load.items.lower_bound(key); item != load.items.end(); ++item) {
    const QueueEntry& entry = item->second.entry;
    if (!load.Counts(entry)) continue;
    without += Guard(load) * Seconds(entry, limits, load.num_workers, variants);
    const double left = ToSeconds(entry.deadline - now);
    const bool is_late = without <= left && without + own > left;
    // The more important request may push the less important one out.
    if (is_late && entry.priority >= demand.priority) return true;
  }
  return false;
}

absl::Status Admission::JudgeLoad(const Demand& demand, int cheapest, const QueueLoad& load,
                                  std::span<const VariantState> variants, TimePoint now) const {
  const CostCoefficients& cost = variants[static_cast<size_t>(cheapest)].cost;
  const double wait = WaitSeconds(demand.deadline, demand.priority, load, variants);
  // An idle server has no backlog to be wrong about; JudgeIdle has applied the factor.
  const double guard = wait == 0 ? 1 : Guard(load);
  const double own = guard * AloneSeconds(cost, demand.work, limits_.Get());
  absl::Status bounds = JudgeBounds(demand.priority, demand.work.tokens, load.waiting, wait);
  if (!bounds.ok()) return bounds;
  const double left = ToSeconds(demand.deadline - options_.reply_margin - now);
  const double allowed = wait == 0 ? left - own : Allowed(demand.priority, load, left - own);
  if (wait > allowed) {
    return Overloaded(wait - allowed,
                      absl::StrCat("the backlog is ", Millis(wait), ", the work ", Millis(own),
                                   " and the time left ", Millis(left), Caution(load)));
  }
  if (WouldMakeLate(demand, wait, own, load, variants, now)) {
    return Overloaded(wait + own, "requests that were accepted before would be late");
  }
  return absl::OkStatus();
}

}  // namespace tailor
