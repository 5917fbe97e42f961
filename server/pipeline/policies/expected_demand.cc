// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/policies/expected_demand.h"

#include <algorithm>
#include <cmath>

namespace tailor {
namespace {

// A request waits for the batch that runs and for its own: both must fit, with a margin, the
// budgets of all but this share of the requests.
constexpr double kBatchShare = 0.45;
constexpr double kTightShare = 0.25;
// Admission refuses who would have to wait longer than this part of the time it can: the share of
// the least important, 0.8, over the usual safety factor.
constexpr double kBearableShare = 0.7;
// Classes are estimated over a second: no need to do it for every batch.
constexpr Duration kClassesAge = std::chrono::milliseconds(5);

// A few large requests a second make the rate of a second a poor guess. Who must not be refused is
// better guessed by a longer memory, unless there has been more of late.
constexpr double kLongMemorySeconds = 10;
constexpr double kMostGrowth = 2;

// Of the queue's bounds, what the least important may use.
constexpr double kLeastShare = 0.8;

// How likely the backlog, if only the cheapest runs from now on, reaches `bound` before it is
// worked off: of a random walk with exponential upward steps (M/M/1), whose variance is measured.
double HitShare(double load, double variance, double backlog, double bound) {
  if (backlog <= 0) return 0;
  if (backlog >= bound) return 1;
  const double steepness = 2 * std::min(load, 1.0) * (1 - load) / variance;
  if (std::fabs(steepness * bound) < 1e-6) return backlog / bound;
  if (steepness < 0) return std::expm1(steepness * backlog) / std::expm1(steepness * bound);
  return std::exp(-steepness * (bound - backlog)) * std::expm1(-steepness * backlog) /
         std::expm1(-steepness * bound);
}

// What comes to a queue, at the cheapest.
struct Flow {
  double load = 0;      // of the engine
  double variance = 0;  // of the work, a second
  double lost = 0;      // requests refused by a second of delay, if whoever comes is refused

  // Behind the others. least: seconds of one. Returns its part of `lost`.
  double Join(double rate, double least, double burstiness) {
    const double part = rate / std::max(1 - load, rate * least);
    load += rate * least;
    variance += rate * least * least * burstiness;
    lost += part;
    return part;
  }
};

}  // namespace

void ExpectedDemand::Observe(const QueueEntry& entry, TimePoint now) {
  forecast_.Observe(entry, now);
  const auto tokens = static_cast<double>(entry.total.tokens);
  burstiness_.Observe(tokens, now);
  if (long_tokens_ == 0) first_ = now;
  const double kept = std::exp(-ToSeconds(now - last_) / kLongMemorySeconds);
  long_tokens_ = (long_tokens_ == 0 ? 0 : kept * long_tokens_) + tokens;
  last_ = now;
}

double ExpectedDemand::Growth(TimePoint now) const {
  double rate = 0;
  for (const DemandForecast::Class& one : forecast_classes_) {
    rate += one.rate * static_cast<double>(one.work.tokens);
  }
  if (rate == 0) return 1;
  const double seen = ToSeconds(now - first_);
  const double sum = long_tokens_ * std::exp(-ToSeconds(now - last_) / kLongMemorySeconds);
  const double unit = kLongMemorySeconds * (1 - std::exp(-seen / kLongMemorySeconds));
  return std::clamp(sum / unit / rate, 1.0, kMostGrowth);
}

bool ExpectedDemand::Update(TimePoint now) {
  if (now - updated_ < kClassesAge) return false;
  updated_ = now;
  forecast_classes_ = forecast_.Classes(now);
  double total = 0;
  for (const DemandForecast::Class& one : forecast_classes_) total += one.rate;
  double tight = 0;
  for (const DemandForecast::Class& one : forecast_classes_) {
    tight += one.rate;
    batch_seconds_ = kBatchShare * one.budget;
    if (tight >= kTightShare * total) break;
  }
  if (batch_seconds_ > 0) burstiness_.SetSpan(kBearableShare * batch_seconds_ / kBatchShare);
  growth_ = Growth(now);
  return true;
}

void ExpectedDemand::Describe(const Ladder& ladder) {
  classes_.clear();
  steady_.clear();
  if (ladder.levels().empty()) return;
  for (const DemandForecast::Class& one : forecast_classes_) {
    classes_.push_back({.rate = one.rate, .budget = one.budget, .tokens = ladder.Tokens(one.work)});
    steady_.push_back(classes_.back());
    steady_.back().rate *= growth_;
  }
}

double ExpectedDemand::Loss(double seconds, const Ladder& ladder) const {
  if (classes_.empty()) return 0;
  const Ladder::Level& cheapest = ladder.corner(0);
  double lost = 0;
  for (const PricedClass& one : classes_) {
    const double alone =
        cheapest.per_token * one.tokens + cheapest.cost.fixed * cheapest.cost.ratio;
    const double bearable = kBearableShare * std::max(0.0, one.budget - alone);
    lost += one.rate * std::max(0.0, seconds - bearable);
  }
  return lost * cheapest.quality;
}

double ExpectedDemand::RefusalPrice(const Backlog& backlog, const Ladder& ladder) const {
  if (steady_.empty()) return 0;
  const Ladder::Level& cheapest = ladder.corner(0);
  const double speed = backlog.speed;
  const auto join = [&](const PricedClass& one, Flow* flow) {
    return flow->Join(one.rate, cheapest.per_token * one.tokens / speed, burstiness_.factor());
  };
  Flow all;
  double waiting = 0;  // seconds of what goes first
  double lost = 0;
  size_t next = 0;
  for (const PricedClass& one : steady_) {
    const double part = join(one, &all);
    for (; next < backlog.items.size() && backlog.items[next].left <= one.budget; ++next) {
      waiting += backlog.items[next].least / speed;
    }
    const double alone =
        (cheapest.per_token * one.tokens / speed) + cheapest.cost.fixed * cheapest.cost.ratio;
    const double bearable = kBearableShare * std::max(0.0, one.budget - alone);
    lost += part * HitShare(all.load, all.variance, waiting, bearable);
  }
  // What has no choice any more is run as slowly as it is: the queue fills meanwhile, and whoever
  // goes first must leave it its time.
  Flow ahead;
  size_t joined = 0;
  double held = backlog.tail_seconds / speed;
  double committed = 0;
  double before = 0;
  for (const PricedItem& item : backlog.items) {
    held += cheapest.per_token * item.tokens / speed;
    before += item.least / speed;
    if (item.seconds <= 0) continue;
    committed += item.seconds / speed;
    for (; joined < steady_.size() && steady_[joined].budget < item.left; ++joined) {
      join(steady_[joined], &ahead);
    }
    if (joined == 0) continue;
    lost = std::max(lost, ahead.lost * HitShare(ahead.load, ahead.variance, before, item.left));
  }
  const double used = backlog.fullness / kLeastShare;
  if (used > 0) {
    const double filled = held + all.load * committed;
    lost = std::max(lost, all.lost * HitShare(all.load, all.variance, filled, held / used));
  }
  return lost * cheapest.quality;
}

}  // namespace tailor
