// SPDX-License-Identifier: Apache-2.0
// Proteus (Ahmad et al., ASPLOS 2024) with one worker and one application.
//
// Slow loop, every ten seconds: its MILP chooses the variants of the workers so that the accuracy
// is highest while beta times the demand (smoothed) is met; a variant serves p = floor(B / l(B)) of
// queries a second, with B its largest batch below the latency objective. With one worker one
// variant is chosen, so trying all is exact. beta starts at 1.05 and is lowered until something
// is feasible, down to 0.2.
//
// Fast loop, its batching "accscale", which does not keep the worker busy at all cost: with q
// queries waiting, the batch may wait until t = deadline(first) - l(q); when t has passed, what
// still fits the first deadline is run.
//
// The objective is the mean budget of late; queries.h says what a query is. A request whose minimum
// quality the planned variant misses gets the fastest that is good enough.
#pragma once

#include <span>
#include <vector>

#include "server/pipeline/policies/quality_policy.h"
#include "server/pipeline/policies/queries.h"

namespace tailor {

class ProteusPolicy final : public QualityPolicy {
 public:
  static constexpr int kMaxBatch = 32;
  static constexpr double kPlanSeconds = 10;

  int OnArrival(const QueueEntry& entry, std::span<const VariantState> variants,
                TimePoint now) override;
  void OnRefused(const QueueEntry& entry, TimePoint now) override;
  Selection Select(const QueueSnapshot& queue, std::span<const VariantState> variants,
                   TimePoint now) override;

  // The variant for `demand` queries a second; -1 when none is of known quality.
  static int Plan(std::span<const VariantState> variants, const MeanQuery& mean,
                  const BatchLimits& limits, double demand);

 private:
  void Replan(std::span<const VariantState> variants, const BatchLimits& limits, TimePoint now);

  MeanQuery mean_;
  int planned_ = -1;
  TimePoint planned_at_;
  int arrivals_ = 0;   // since then
  double demand_ = 0;  // queries a second, smoothed; 0: none seen
};

}  // namespace tailor
