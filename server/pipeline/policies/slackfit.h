// SPDX-License-Identifier: Apache-2.0
// SlackFit of SuperServe (Khare et al., NSDI 2025, section 4.2). Offline the latencies l(variant,
// batch) of the Pareto front are cut into evenly spaced buckets, each with the largest batch that
// stays below its upper edge and, of equal batches, the best variant. Online the earliest deadline
// sets the slack; the bucket with the largest latency below it gives variant and batch size. When
// no bucket is below it the fastest is taken. queries.h says what a query is here; beside that, a
// bucket takes at least as long as the first request alone, which may be larger than the mean.
#pragma once

#include <span>
#include <vector>

#include "server/pipeline/policies/quality_policy.h"
#include "server/pipeline/policies/queries.h"

namespace tailor {

class SlackFitPolicy final : public QualityPolicy {
 public:
  static constexpr int kMaxBatch = 16;  // the paper's
  static constexpr int kBuckets = 64;

  struct Bucket {
    double seconds = 0;  // l(variant, batch)
    int variant = -1;
    int batch = 0;
  };

  int OnArrival(const QueueEntry& entry, std::span<const VariantState> variants,
                TimePoint now) override;
  Selection Select(const QueueSnapshot& queue, std::span<const VariantState> variants,
                   TimePoint now) override;

  // The table for queries of that mean; sorted by edge.
  static std::vector<Bucket> MakeBuckets(std::span<const VariantState> variants,
                                         const MeanQuery& mean, const BatchLimits& limits);

 private:
  MeanQuery mean_;
  std::vector<Bucket> buckets_;
  std::vector<bool> available_;  // when the table was made
  int version_ = -1;
};

}  // namespace tailor
