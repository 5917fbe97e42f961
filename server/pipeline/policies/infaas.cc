// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/policies/infaas.h"

#include <algorithm>
#include <limits>

namespace tailor {
namespace {

constexpr double kMeanWeight = 1.0 / 64;

}  // namespace

double InfaasPolicy::Latency(const VariantState& variant, const QueueEntry& entry) const {
  const CostCoefficients& cost = variant.cost;
  const double slope =
      cost.per_token * mean_length_ + cost.per_square * mean_length_ * mean_length_ + cost.per_row;
  return cost.fixed + slope * static_cast<double>(entry.total.rows);
}

int InfaasPolicy::OnArrival(const QueueEntry& entry, std::span<const VariantState> variants,
                            TimePoint now) {
  const double length =
      static_cast<double>(entry.total.tokens) / static_cast<double>(entry.total.rows);
  mean_length_ += (mean_length_ == 0 ? 1 : kMeanWeight) * (length - mean_length_);
  return Bind(entry, variants, now);
}

Selection InfaasPolicy::Select(const QueueSnapshot& queue, std::span<const VariantState> variants,
                               TimePoint now) {
  Selection selection;
  const int head = FirstRunnable(queue, variants, &selection);
  if (head < 0) return selection;
  const QueueEntry& first = queue.entries[static_cast<size_t>(head)];
  const int variant = Permitted(first, first.assigned, variants, queue.limits);
  const VariantState& state = variants[static_cast<size_t>(variant)];
  const double slack = ToSeconds(first.deadline - now);
  WorkShape work;
  bool is_full = false;
  for (size_t i = static_cast<size_t>(head); i < queue.entries.size() && !is_full; ++i) {
    const QueueEntry& entry = queue.entries[i];
    const bool is_first = static_cast<int>(i) == head;
    // What has begun is bound to its variant whatever it was assigned to.
    const bool is_begun = entry.waiting.rows < entry.total.rows;
    const bool waits_for_it = Contains(entry.admissible, variant) &&
                              (is_begun || entry.is_pinned || entry.assigned == variant);
    if (!is_first && !waits_for_it) continue;
    WorkShape longer = work;
    int rows = 0;
    for (const int32_t length : entry.lengths) {
      is_full = longer.rows == queue.limits.max_sequences ||
                longer.tokens + length > queue.limits.max_tokens;
      if (is_full) break;
      longer.Add(length);
      ++rows;
    }
    if (rows == 0) break;
    if (!is_first && queue.safety * BatchSeconds(state.cost, longer) > slack) break;
    work = longer;
    selection.portions.push_back({static_cast<int>(i), rows});
  }
  selection.variant = variant;
  selection.predicted_seconds = BatchSeconds(state.cost, work);
  selection.reason = Reason(first, variant, queue, variants);
  return selection;
}

int InfaasMinCostPolicy::Bind(const QueueEntry& entry, std::span<const VariantState> variants,
                              TimePoint /*now*/) {
  int cheapest = -1;
  double least = std::numeric_limits<double>::infinity();
  for (int i = 0; i < static_cast<int>(variants.size()); ++i) {
    const VariantState& state = variants[static_cast<size_t>(i)];
    if (!Contains(entry.admissible, i) || !state.is_available) continue;
    if (const double latency = Latency(state, entry); latency < least) {
      least = latency;
      cheapest = i;
    }
  }
  return cheapest;
}

bool InfaasSlowestFitPolicy::IsBlacklisted(int variant) const {
  const auto index = static_cast<size_t>(variant);
  return index < seen_.size() && seen_[index].is_blacklisted;
}

int InfaasSlowestFitPolicy::Bind(const QueueEntry& entry, std::span<const VariantState> variants,
                                 TimePoint /*now*/) {
  const double bound = ToSeconds(entry.deadline - entry.arrival);
  int best = -1;    // slowest that fits
  int listed = -1;  // the same among the blacklisted
  int fastest = -1;
  for (int i = 0; i < static_cast<int>(variants.size()); ++i) {
    const VariantState& state = variants[static_cast<size_t>(i)];
    if (!Contains(entry.admissible, i) || !state.is_available) continue;
    const double latency = Latency(state, entry);
    const auto is_slower = [&](int other) {
      return other < 0 || latency > Latency(variants[static_cast<size_t>(other)], entry);
    };
    if (fastest < 0 || !is_slower(fastest)) fastest = i;
    if (latency > bound) continue;
    int* slowest = IsBlacklisted(i) ? &listed : &best;
    if (is_slower(*slowest)) *slowest = i;
  }
  if (best >= 0) return best;
  if (listed >= 0 && crowded_out_++ % kProbeEvery == 0) return listed;
  return fastest;
}

void InfaasSlowestFitPolicy::OnBatchDone(const BatchOutcome& outcome, TimePoint /*now*/) {
  const auto index = static_cast<size_t>(outcome.variant);
  if (index >= seen_.size()) return;
  Seen& seen = seen_[index];
  seen.latency += outcome.latency_seconds;
  const CostCoefficients& cost = costs_[index];
  const WorkShape& work = outcome.completed_work;
  seen.profile += cost.fixed * outcome.completed +
                  cost.per_token * static_cast<double>(work.tokens) +
                  cost.per_square * static_cast<double>(work.squares) +
                  cost.per_row * static_cast<double>(work.rows);
}

void InfaasSlowestFitPolicy::Judge(const QueueSnapshot& queue,
                                   std::span<const VariantState> variants, double period) {
  std::vector<double> waiting(variants.size());  // seconds of work
  for (const QueueEntry& entry : queue.entries) {
    if (entry.assigned < 0) continue;
    const auto index = static_cast<size_t>(entry.assigned);
    waiting[index] += Latency(variants[index], entry);
  }
  for (size_t i = 0; i < seen_.size(); ++i) {
    Seen& seen = seen_[i];
    const double slowness = seen.profile > 0 ? seen.latency / seen.profile : 0;
    const bool is_busy = seen.profile / period > kBusy;
    if ((slowness > kSlow && is_busy) || waiting[i] > kWaiting) {
      seen.is_blacklisted = true;
    } else if (slowness < kRecovered) {
      seen.is_blacklisted = false;
    }
    seen.latency = 0;
    seen.profile = 0;
  }
}

Selection InfaasSlowestFitPolicy::Select(const QueueSnapshot& queue,
                                         std::span<const VariantState> variants, TimePoint now) {
  if (seen_.empty()) {
    seen_.resize(variants.size());
    for (const VariantState& state : variants) costs_.push_back(state.cost);
    judged_ = now;
  }
  if (const double period = ToSeconds(now - judged_); period >= 1) {
    Judge(queue, variants, period);
    judged_ = now;
  }
  return InfaasPolicy::Select(queue, variants, now);
}

}  // namespace tailor
