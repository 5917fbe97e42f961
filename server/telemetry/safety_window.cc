// SPDX-License-Identifier: Apache-2.0
#include "server/telemetry/safety_window.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace tailor {
namespace {

// Number of batches after which one counts for 1/e.
constexpr double kMemory = 128;
constexpr double kMostFactor = 2;
// Batches as predicted that are taken to have been seen before the first: one bad one among few is
// not the rule yet.
constexpr double kPrior = 32;

}  // namespace

SafetyWindow::SafetyWindow(const Recorder* recorder, double least)
    : recorder_(recorder),
      least_(least),
      counts_(InfoOf(Metric::kPredictionError).buckets.size() + 1) {
  const std::span<const double> limits = InfoOf(Metric::kPredictionError).buckets;
  const auto as_predicted = std::lower_bound(limits.begin(), limits.end(), 1.0) - limits.begin();
  for (Track& track : tracks_) {
    track.seen.resize(counts_.size());
    track.weights.resize(counts_.size());
    track.weights[static_cast<size_t>(as_predicted)] = kPrior;
    track.factor = least;
  }
}

void SafetyWindow::Update() {
  const uint64_t version = recorder_->batches_version();
  if (version == version_) return;
  version_ = version;
  for (size_t start = 0; start < tracks_.size(); ++start) {
    Track& track = tracks_[start];
    std::fill(counts_.begin(), counts_.end(), 0.0);
    recorder_->AddPredictionErrors(static_cast<BatchStart>(start), counts_);
    const double news = std::reduce(counts_.begin(), counts_.end()) -
                        std::reduce(track.seen.begin(), track.seen.end());
    if (news <= 0) continue;
    const double fade = std::exp(-news / kMemory);
    for (size_t i = 0; i < counts_.size(); ++i) {
      track.weights[i] = fade * track.weights[i] + counts_[i] - track.seen[i];
    }
    track.seen = counts_;
    track.factor = std::clamp(Quantile(track), least_, std::max(least_, kMostFactor));
  }
}

double SafetyWindow::Quantile(const Track& track) const {
  const std::span<const double> limits = InfoOf(Metric::kPredictionError).buckets;
  const double total = std::reduce(track.weights.begin(), track.weights.end());
  double below = 0;
  for (size_t i = 0; i < limits.size(); ++i) {
    const double weight = track.weights[i];
    if (weight > 0 && below + weight >= kQuantile * total) {
      const double lower = i == 0 ? 0 : limits[i - 1];
      return lower + (limits[i] - lower) * (kQuantile * total - below) / weight;
    }
    below += weight;
  }
  return limits.back();
}

}  // namespace tailor
