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

// Of the queue's bounds, what the least important may use.
constexpr double kLeastShare = 0.8;

// How likely the backlog, if only the cheapest runs from now on, reaches `bound` before it is
// worked off: of a random walk with exponential upward steps (M/M/1), whose variance is measured.
double HitShare(double load, double variance, double backlog, double bound) {
  if (backlog <= 0) return 0;
  if (backlog >= bound) return 1;
  const double steepness = 2 * std::min(load, 1.0) * (1 - load) / variance;
  if (std::fabs(steepness * bound) < 1e-6) return backlog / bound;
  return std::expm1(steepness * backlog) / std::expm1(steepness * bound);
}

}  // namespace

void ExpectedDemand::Observe(const QueueEntry& entry, TimePoint now) {
  forecast_.Observe(entry, now);
  burstiness_.Observe(static_cast<double>(entry.total.tokens), now);
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
  return true;
}

void ExpectedDemand::Describe(const Ladder& ladder) {
  classes_.clear();
  if (ladder.levels().empty()) return;
  for (const DemandForecast::Class& one : forecast_classes_) {
    classes_.push_back({.rate = one.rate, .budget = one.budget, .tokens = ladder.Tokens(one.work)});
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
  if (classes_.empty()) return 0;
  const Ladder::Level& cheapest = ladder.corner(0);
  const double speed = backlog.speed;
  double load = 0;      // of the engine by who goes first, at the cheapest
  double variance = 0;  // of the work that they bring, a second
  double waiting = 0;   // seconds of what goes first
  double lost = 0;      // requests refused by a second of delay
  double all_lost = 0;  // the same if whoever comes is refused
  size_t next = 0;
  for (const PricedClass& one : classes_) {
    const double least = cheapest.per_token * one.tokens / speed;
    const double relief = std::max(1 - load, one.rate * least);
    load += one.rate * least;
    variance += one.rate * least * least * burstiness_.factor();
    for (; next < backlog.items.size() && backlog.items[next].left <= one.budget; ++next) {
      waiting += backlog.items[next].least / speed;
    }
    const double alone = least + cheapest.cost.fixed * cheapest.cost.ratio;
    const double bearable = kBearableShare * std::max(0.0, one.budget - alone);
    all_lost += one.rate / relief;
    lost += one.rate / relief * HitShare(load, variance, waiting, bearable);
  }
  // What has no choice any more is run as slowly as it is, and the queue fills meanwhile.
  double held = backlog.tail_seconds / speed;
  double committed = 0;
  for (const PricedItem& item : backlog.items) {
    held += cheapest.per_token * item.tokens / speed;
    if (item.seconds > 0) committed += item.seconds / speed;
  }
  const double used = backlog.fullness / kLeastShare;
  if (used > 0) {
    const double filled = held + load * committed;
    lost = std::max(lost, all_lost * HitShare(load, variance, filled, held / used));
  }
  return lost * cheapest.quality;
}

}  // namespace tailor
