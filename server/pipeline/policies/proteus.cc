// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/policies/proteus.h"

#include <algorithm>
#include <cmath>

namespace tailor {
namespace {

constexpr double kDemandWeight = 0.5;  // of the newest period
constexpr double kFirstBeta = 1.05;
constexpr double kLastBeta = 0.2;
constexpr double kBetaStep = 0.05;

// Until the first plan there is no demand to plan for: soon after the first arrival, then.
constexpr double kFirstPlanSeconds = 0.5;

// The largest batch that keeps the objective; 0 when not even one query does.
int LargestBatch(const VariantState& variant, const MeanQuery& mean, const BatchLimits& limits,
                 double objective) {
  int largest = 0;
  for (int batch = 1; batch <= ProteusPolicy::kMaxBatch; ++batch) {
    if (ProfiledSeconds(variant, mean.Times(batch), limits) < objective) largest = batch;
  }
  return largest;
}

}  // namespace

int ProteusPolicy::Plan(std::span<const VariantState> variants, const MeanQuery& mean,
                        const BatchLimits& limits, double demand) {
  const std::vector<int> front = ParetoFront(variants, AllVariants(), mean.Times(1), limits);
  if (front.empty()) return -1;
  std::vector<double> throughputs;
  for (const int variant : front) {
    const VariantState& state = variants[static_cast<size_t>(variant)];
    const int batch = LargestBatch(state, mean, limits, mean.budget_seconds());
    throughputs.push_back(
        batch == 0 ? 0 : std::floor(batch / ProfiledSeconds(state, mean.Times(batch), limits)));
  }
  for (double beta = kFirstBeta; beta > kLastBeta - kBetaStep / 2; beta -= kBetaStep) {
    for (size_t i = front.size(); i-- > 0;) {
      if (throughputs[i] > 0 && throughputs[i] >= beta * demand) return front[i];
    }
  }
  return front.front();
}

void ProteusPolicy::OnRefused(const QueueEntry& entry, TimePoint now) {
  if (planned_at_ == TimePoint()) planned_at_ = now;
  mean_.Observe(entry);
  ++arrivals_;
}

int ProteusPolicy::OnArrival(const QueueEntry& entry, std::span<const VariantState> /*variants*/,
                             TimePoint now) {
  OnRefused(entry, now);
  return -1;
}

void ProteusPolicy::Replan(std::span<const VariantState> variants, const BatchLimits& limits,
                           TimePoint now) {
  const double passed = ToSeconds(now - planned_at_);
  const bool is_first = demand_ == 0;
  if (planned_ >= 0 && passed < (is_first ? kFirstPlanSeconds : kPlanSeconds)) return;
  if (passed > 0) {
    const double seen = arrivals_ / passed;
    demand_ = is_first ? seen : kDemandWeight * seen + (1 - kDemandWeight) * demand_;
    planned_at_ = now;
    arrivals_ = 0;
  }
  planned_ = Plan(variants, mean_, limits, demand_);
}

Selection ProteusPolicy::Select(const QueueSnapshot& queue, std::span<const VariantState> variants,
                                TimePoint now) {
  Replan(variants, queue.limits, now);
  Selection selection;
  const int head = FirstRunnable(queue, variants, &selection);
  if (head < 0) return selection;
  const QueueEntry& first = queue.entries[static_cast<size_t>(head)];
  const int variant = Permitted(first, planned_, variants, queue.limits);
  const VariantState& state = variants[static_cast<size_t>(variant)];
  const auto latency = [&](double queries) {
    return queue.safety * std::max(ProfiledSeconds(state, mean_.Times(queries), queue.limits),
                                   ProfiledSeconds(state, first.waiting, queue.limits));
  };
  double waiting = 0;  // queries
  for (const QueueEntry& entry : queue.entries) {
    if (Contains(entry.admissible, variant)) waiting += mean_.CountOf(entry.waiting);
  }
  const double full = std::max(1, LargestBatch(state, mean_, queue.limits, mean_.budget_seconds()));
  const TimePoint latest = first.deadline - FromSeconds(latency(std::min(waiting, full)));
  if (waiting < full && now < latest) {
    selection.wait_until = latest;
    return selection;
  }
  double batch = std::min(waiting, full);
  while (batch > 1 && now + FromSeconds(latency(batch)) > first.deadline) batch -= 1;
  TakeEarliest(queue, variants, head, variant, std::max(batch, 1.0), mean_, &selection);
  selection.reason = Reason(first, variant, queue, variants);
  return selection;
}

}  // namespace tailor
