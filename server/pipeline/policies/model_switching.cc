// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/policies/model_switching.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>
#include <random>
#include <utility>

namespace tailor {
namespace {

constexpr int kLoads = 16;
constexpr int kQueries = 2000;  // a point of the table
constexpr uint64_t kSeed = 1;

}  // namespace

double ModelSwitchingPolicy::ShareInTime(std::span<const double> batch_seconds, double load,
                                         double deadline) {
  std::mt19937_64 random(kSeed);
  double arrival = 0;
  double free_at = 0;
  int in_time = 0;
  std::deque<double> waiting;
  const auto run_until = [&](double time) {
    while (!waiting.empty() && std::max(free_at, waiting.front()) < time) {
      const double start = std::max(free_at, waiting.front());
      size_t batch = 0;
      while (batch < waiting.size() && batch < batch_seconds.size() && waiting[batch] <= start) {
        ++batch;
      }
      free_at = start + batch_seconds[batch - 1];
      for (; batch > 0; --batch) {
        in_time += free_at - waiting.front() <= deadline ? 1 : 0;
        waiting.pop_front();
      }
    }
  };
  for (int i = 0; i < kQueries; ++i) {
    // The inverse of the exponential distribution, the same in every standard library.
    const double uniform = static_cast<double>(random() >> 11) * 0x1p-53;
    arrival -= std::log1p(-uniform) / load;
    run_until(arrival);
    waiting.push_back(arrival);
  }
  run_until(std::numeric_limits<double>::infinity());
  return static_cast<double>(in_time) / kQueries;
}

void ModelSwitchingPolicy::MakeTable(std::span<const VariantState> variants,
                                     const BatchLimits& limits) {
  const std::vector<int> front = ParetoFront(variants, AllVariants(), mean_.Times(1), limits);
  models_.clear();
  loads_.clear();
  if (front.empty()) return;
  const auto profile = [&](int variant) {
    std::vector<double> seconds;
    for (int batch = 1; batch <= kMaxBatch; ++batch) {
      seconds.push_back(
          ProfiledSeconds(variants[static_cast<size_t>(variant)], mean_.Times(batch), limits));
    }
    return seconds;
  };
  const double highest = 1.2 * kMaxBatch / profile(front.front()).back();
  const double lowest = 0.1 / profile(front.back()).front();
  for (int i = 0; i < kLoads; ++i) {
    loads_.push_back(lowest * std::pow(highest / lowest, static_cast<double>(i) / (kLoads - 1)));
  }
  for (const int variant : front) {
    Model model{.variant = variant,
                .quality = *variants[static_cast<size_t>(variant)].quality,
                .in_time = {}};
    const std::vector<double> seconds = profile(variant);
    for (const double load : loads_) {
      model.in_time.push_back(ShareInTime(seconds, load, mean_.budget_seconds()));
    }
    models_.push_back(std::move(model));
  }
}

int ModelSwitchingPolicy::Choose(double load) const {
  if (models_.empty()) return -1;
  // The next load of the table above: rather a little too careful.
  size_t column = 0;
  while (column + 1 < loads_.size() && loads_[column] < load) ++column;
  const Model* best = &models_.front();
  for (const Model& model : models_) {
    if (model.quality * model.in_time[column] > best->quality * best->in_time[column]) {
      best = &model;
    }
  }
  return best->variant;
}

void ModelSwitchingPolicy::OnRefused(const QueueEntry& entry, TimePoint now) {
  if (interval_start_ == TimePoint()) interval_start_ = now;
  mean_.Observe(entry);
  ++arrivals_;
}

int ModelSwitchingPolicy::OnArrival(const QueueEntry& entry,
                                    std::span<const VariantState> /*variants*/, TimePoint now) {
  OnRefused(entry, now);
  return -1;
}

Selection ModelSwitchingPolicy::Select(const QueueSnapshot& queue,
                                       std::span<const VariantState> variants, TimePoint now) {
  if (version_ != mean_.version()) {
    MakeTable(variants, queue.limits);
    version_ = mean_.version();
  }
  const double passed = ToSeconds(now - interval_start_);
  if (passed >= kIntervalSeconds) {
    chosen_ = Choose(arrivals_ / passed);
    arrivals_ = 0;
    interval_start_ = now;
  } else if (chosen_ < 0) {
    chosen_ = Choose(0);
  }
  Selection selection;
  const int head = FirstRunnable(queue, variants, &selection);
  if (head < 0) return selection;
  const QueueEntry& first = queue.entries[static_cast<size_t>(head)];
  const int variant = Permitted(first, chosen_, variants, queue.limits);
  TakeEarliest(queue, variants, head, variant, kMaxBatch, mean_, &selection);
  selection.reason = Reason(first, variant, queue, variants);
  return selection;
}

}  // namespace tailor
