// SPDX-License-Identifier: Apache-2.0
// Model-Switching (Zhang et al., HotCloud 2020). Offline: for every model and load, the share of
// queries that answer within the deadline, and with it the effective accuracy, accuracy times that
// share. Online: each interval the load is measured, and the model of the highest effective
// accuracy at that load serves until the next.
//
// The paper measures the table on its servers; here it comes from a first-come first-served queue
// with Poisson arrivals that runs what waits as one batch, as its Clipper does, seeded. The
// deadline is the mean budget of late; queries.h says what a query is.
#pragma once

#include <span>
#include <vector>

#include "server/pipeline/policies/quality_policy.h"
#include "server/pipeline/policies/queries.h"

namespace tailor {

class ModelSwitchingPolicy final : public QualityPolicy {
 public:
  static constexpr double kIntervalSeconds = 1;
  static constexpr int kMaxBatch = 16;

  int OnArrival(const QueueEntry& entry, std::span<const VariantState> variants,
                TimePoint now) override;
  void OnRefused(const QueueEntry& entry, TimePoint now) override;
  Selection Select(const QueueSnapshot& queue, std::span<const VariantState> variants,
                   TimePoint now) override;

  // The share of queries answered within `deadline` seconds at `load` queries a second, when a
  // batch of b queries takes batch_seconds[b - 1].
  static double ShareInTime(std::span<const double> batch_seconds, double load, double deadline);

 private:
  struct Model {
    int variant = -1;
    double quality = 0;
    std::vector<double> in_time;  // share by load, at the loads of the table
  };

  void MakeTable(std::span<const VariantState> variants, const BatchLimits& limits);
  int Choose(double load) const;

  MeanQuery mean_;
  std::vector<double> loads_;
  std::vector<Model> models_;  // fastest first
  int version_ = -1;
  int chosen_ = -1;
  TimePoint interval_start_;
  int arrivals_ = 0;  // since then
};

}  // namespace tailor
