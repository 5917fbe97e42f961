// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/policies/queries.h"

#include <algorithm>
#include <cmath>

namespace tailor {

void MeanQuery::Observe(const QueueEntry& entry) {
  seen_ = std::min(seen_ + 1, kMemory);
  const double weight = 1.0 / seen_;
  const auto move = [weight](double* mean, double value) { *mean += weight * (value - *mean); };
  move(&rows_, static_cast<double>(entry.total.rows));
  move(&tokens_, static_cast<double>(entry.total.tokens));
  move(&squares_, static_cast<double>(entry.total.squares));
  move(&budget_, ToSeconds(entry.deadline - entry.arrival));
  if (std::fabs(tokens_ - tokens_at_version_) > 0.1 * tokens_at_version_) {
    tokens_at_version_ = tokens_;
    ++version_;
  }
}

WorkShape MeanQuery::Times(double n) const {
  return {.rows = std::max<int64_t>(1, std::llround(rows_ * n)),
          .tokens = std::max<int64_t>(1, std::llround(tokens_ * n)),
          .squares = std::max<int64_t>(1, std::llround(squares_ * n))};
}

double MeanQuery::CountOf(const WorkShape& work) const {
  return seen_ == 0 ? 1 : std::max(1.0, static_cast<double>(work.tokens) / tokens_);
}

double ProfiledSeconds(const VariantState& variant, const WorkShape& work,
                       const BatchLimits& limits) {
  CostCoefficients cost = variant.cost;
  cost.ratio = 1;
  return AloneSeconds(cost, work, limits);
}

std::vector<int> ParetoFront(std::span<const VariantState> variants, const VariantSet& set,
                             const WorkShape& work, const BatchLimits& limits) {
  std::vector<std::pair<double, int>> by_time;
  for (int i = 0; i < static_cast<int>(variants.size()); ++i) {
    const VariantState& state = variants[static_cast<size_t>(i)];
    if (!Contains(set, i) || !state.is_available || !state.quality) continue;
    by_time.emplace_back(ProfiledSeconds(state, work, limits), i);
  }
  std::sort(by_time.begin(), by_time.end());
  std::vector<int> front;
  double best = -1;
  for (const auto& [seconds, i] : by_time) {
    const double quality = *variants[static_cast<size_t>(i)].quality;
    if (quality <= best) continue;
    best = quality;
    front.push_back(i);
  }
  return front;
}

int FirstRunnable(const QueueSnapshot& queue, std::span<const VariantState> variants,
                  Selection* selection) {
  for (size_t i = 0; i < queue.entries.size(); ++i) {
    const QueueEntry& entry = queue.entries[i];
    if (CheapestVariant(variants, entry.admissible, entry.waiting, queue.limits) >= 0) {
      return static_cast<int>(i);
    }
    selection->hopeless.push_back(static_cast<int>(i));
  }
  return -1;
}

int Permitted(const QueueEntry& entry, int wanted, std::span<const VariantState> variants,
              const BatchLimits& limits) {
  const auto seconds = [&](int i) {
    return ProfiledSeconds(variants[static_cast<size_t>(i)], entry.waiting, limits);
  };
  if (wanted >= 0) {
    const bool is_available = variants[static_cast<size_t>(wanted)].is_available;
    if (is_available && Contains(entry.admissible, wanted)) return wanted;
    for (const int i : ByQuality(variants, entry.admissible, entry.waiting)) {
      if (seconds(i) <= seconds(wanted)) return i;
    }
  }
  return CheapestVariant(variants, entry.admissible, entry.waiting, limits);
}

void TakeEarliest(const QueueSnapshot& queue, std::span<const VariantState> variants, int head,
                  int variant, double max_queries, const MeanQuery& mean, Selection* selection) {
  WorkShape work;
  double queries = 0;
  for (size_t i = static_cast<size_t>(head); i < queue.entries.size(); ++i) {
    const QueueEntry& entry = queue.entries[i];
    if (!Contains(entry.admissible, variant)) continue;
    queries += mean.CountOf(entry.waiting);
    if (!selection->portions.empty() && queries > max_queries) break;
    int rows = 0;
    for (const int32_t length : entry.lengths) {
      if (work.rows == queue.limits.max_sequences ||
          work.tokens + length > queue.limits.max_tokens) {
        break;
      }
      work.Add(length);
      ++rows;
    }
    if (rows > 0) selection->portions.push_back({static_cast<int>(i), rows});
    if (rows < static_cast<int>(entry.lengths.size())) break;
  }
  selection->variant = variant;
  selection->predicted_seconds = BatchSeconds(variants[static_cast<size_t>(variant)].cost, work);
}

}  // namespace tailor
