// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/policies/slackfit.h"

#include <algorithm>

namespace tailor {

std::vector<SlackFitPolicy::Bucket> SlackFitPolicy::MakeBuckets(
    std::span<const VariantState> variants, const MeanQuery& mean, const BatchLimits& limits) {
  const std::vector<int> front = ParetoFront(variants, AllVariants(), mean.Times(1), limits);
  if (front.empty()) return {};
  const auto seconds = [&](int variant, int batch) {
    return ProfiledSeconds(variants[static_cast<size_t>(variant)], mean.Times(batch), limits);
  };
  std::vector<Bucket> profile;  // fastest variant first
  for (const int variant : front) {
    for (int batch = 1; batch <= kMaxBatch; ++batch) {
      profile.push_back({seconds(variant, batch), variant, batch});
    }
  }
  const double low = seconds(front.front(), 1);
  const double high = seconds(front.back(), kMaxBatch);
  std::vector<Bucket> buckets;
  for (int k = 1; k <= kBuckets; ++k) {
    // The last edge lies above the slowest point, so that it is in reach.
    const double edge = k < kBuckets ? low + (high - low) * k / kBuckets : high * (1 + 1e-9);
    Bucket best;
    for (const Bucket& point : profile) {
      if (point.seconds < edge && point.batch >= best.batch) best = point;
    }
    if (best.variant >= 0) buckets.push_back(best);
  }
  return buckets;
}

int SlackFitPolicy::OnArrival(const QueueEntry& entry, std::span<const VariantState> /*variants*/,
                              TimePoint /*now*/) {
  mean_.Observe(entry);
  return -1;
}

Selection SlackFitPolicy::Select(const QueueSnapshot& queue, std::span<const VariantState> variants,
                                 TimePoint now) {
  std::vector<bool> available;
  available.reserve(variants.size());
  for (const VariantState& state : variants) available.push_back(state.is_available);
  if (version_ != mean_.version() || available != available_) {
    buckets_ = MakeBuckets(variants, mean_, queue.limits);
    available_ = available;
    version_ = mean_.version();
  }
  Selection selection;
  const int head = FirstRunnable(queue, variants, &selection);
  if (head < 0) return selection;
  const QueueEntry& first = queue.entries[static_cast<size_t>(head)];
  const double slack = ToSeconds(first.deadline - now);
  const Bucket* chosen = buckets_.empty() ? nullptr : &buckets_.front();
  double longest = 0;
  for (const Bucket& bucket : buckets_) {
    const VariantState& state = variants[static_cast<size_t>(bucket.variant)];
    const double seconds =
        std::max(bucket.seconds, ProfiledSeconds(state, first.waiting, queue.limits));
    if (queue.safety * seconds >= slack || seconds <= longest) continue;
    chosen = &bucket;
    longest = seconds;
  }
  const int wanted = chosen != nullptr ? chosen->variant : -1;
  const int variant = Permitted(first, wanted, variants, queue.limits);
  TakeEarliest(queue, variants, head, variant, chosen != nullptr ? chosen->batch : 1, mean_,
               &selection);
  selection.reason = Reason(first, variant, queue, variants);
  return selection;
}

}  // namespace tailor
