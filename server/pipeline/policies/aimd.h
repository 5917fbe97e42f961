// SPDX-License-Identifier: Apache-2.0
// The batching of Clipper (Crankshaw et al., NSDI 2017, section 4.3.1): for every model the largest
// batch grows by one while batches of that size keep the latency objective, and shrinks by a tenth
// when one does not.
//
// Clipper does not choose models by load. So that the comparison is with a system that could run
// here, the variant is the best one whose batch of the present size keeps the first deadline, else
// the fastest. The objective of a batch is the slack of its first deadline when it started;
// queries.h says what a query is.
#pragma once

#include <span>
#include <vector>

#include "server/pipeline/policies/quality_policy.h"
#include "server/pipeline/policies/queries.h"

namespace tailor {

class AimdPolicy final : public QualityPolicy {
 public:
  static constexpr double kStep = 1;
  static constexpr double kBackOff = 0.9;
  static constexpr double kMaxBatch = 64;

  int OnArrival(const QueueEntry& entry, std::span<const VariantState> variants,
                TimePoint now) override;
  Selection Select(const QueueSnapshot& queue, std::span<const VariantState> variants,
                   TimePoint now) override;
  void OnBatchDone(const BatchOutcome& outcome, TimePoint now) override;

  // Queries in a batch of that variant, at most.
  double batch(int variant) const { return models_[static_cast<size_t>(variant)].batch; }

 private:
  struct Model {
    double batch = 1;
    double objective = 0;  // seconds, of the batch that runs
    bool is_full = false;  // that batch had as many queries as it may
  };

  MeanQuery mean_;
  std::vector<Model> models_;
};

}  // namespace tailor
