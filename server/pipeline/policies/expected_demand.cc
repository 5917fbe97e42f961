// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/policies/expected_demand.h"

#include <algorithm>

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

}  // namespace

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

}  // namespace tailor
