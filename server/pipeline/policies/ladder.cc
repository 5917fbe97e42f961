// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/policies/ladder.h"

#include <cmath>
#include <utility>

namespace tailor {
namespace {

// Rows of the shape by which levels are compared: enough for full batches.
constexpr int64_t kReferenceRows = 64;
constexpr double kMaxFixedShare = 0.9;
// A corner must add this part of the whole range of quality.
constexpr double kLeastGain = 1.0 / 20;

CostCoefficients WithoutFixed(CostCoefficients cost) {
  cost.fixed = 0;
  return cost;
}

bool HasMoved(double value, double from, double by) {
  return std::fabs(value - from) > by * std::fabs(from);
}

}  // namespace

double Ladder::PerToken(const CostCoefficients& cost, const BatchLimits& limits) const {
  double seconds = SharedSeconds(cost, reference_, limits);
  if (batch_seconds_ > 0) {
    const double share = std::min(kMaxFixedShare, cost.fixed * cost.ratio / batch_seconds_);
    seconds = std::max(seconds, BatchSeconds(WithoutFixed(cost), reference_) / (1 - share));
  }
  return seconds / static_cast<double>(reference_.tokens);
}

bool Ladder::UpdateCandidates(std::span<const VariantState> variants, bool all,
                              const BatchLimits& limits) {
  bool any = false;
  for (size_t i = 0; i < variants.size(); ++i) {
    const VariantState& state = variants[i];
    const double ratio = state.is_available && state.quality ? state.cost.ratio : -1;
    Candidate& candidate = candidates_[i];
    const double quality = state.quality.value_or(0);
    const bool is_same = quality == candidate.quality && !HasMoved(ratio, candidate.ratio, 0.02);
    if (!all && is_same) continue;
    candidate = {.ratio = ratio,
                 .quality = quality,
                 .per_token = ratio < 0 ? 0 : PerToken(state.cost, limits)};
    any = true;
  }
  return any;
}

void Ladder::FindLevels(std::span<const VariantState> variants) {
  const auto is_before = [this](int a, int b) {
    const Candidate& x = candidates_[static_cast<size_t>(a)];
    const Candidate& y = candidates_[static_cast<size_t>(b)];
    return std::pair(x.per_token, -x.quality) < std::pair(y.per_token, -y.quality);
  };
  // Few have moved since the last time, so this is linear.
  for (size_t i = 1; i < order_.size(); ++i) {
    const int moved = order_[i];
    size_t place = i;
    for (; place > 0 && is_before(moved, order_[place - 1]); --place) {
      order_[place] = order_[place - 1];
    }
    order_[place] = moved;
  }
  levels_.clear();
  for (const int i : order_) {
    const Candidate& candidate = candidates_[static_cast<size_t>(i)];
    if (candidate.ratio < 0) continue;
    if (!levels_.empty() && candidate.quality <= levels_.back().quality) continue;
    levels_.push_back({.variant = i,
                       .quality = candidate.quality,
                       .per_token = candidate.per_token,
                       .cost = variants[static_cast<size_t>(i)].cost});
  }
}

void Ladder::FindCorners() {
  corners_.clear();
  steps_.clear();
  if (levels_.empty()) return;
  const auto slope = [&](int from, int to) {
    const Level& a = levels_[static_cast<size_t>(from)];
    const Level& b = levels_[static_cast<size_t>(to)];
    return (b.quality - a.quality) / std::max(b.per_token - a.per_token, 1e-15);
  };
  const int last = static_cast<int>(levels_.size()) - 1;
  const double least = kLeastGain * (levels_.back().quality - levels_.front().quality);
  for (int i = 0; i <= last; ++i) {
    const double quality = levels_[static_cast<size_t>(i)].quality;
    const bool is_hardly_better =
        !corners_.empty() && i < last &&
        quality - levels_[static_cast<size_t>(corners_.back())].quality < least;
    if (is_hardly_better) continue;
    while (corners_.size() >= 2 &&
           slope(corners_[corners_.size() - 2], corners_.back()) <= slope(corners_.back(), i)) {
      corners_.pop_back();
    }
    corners_.push_back(i);
  }
  for (size_t i = 1; i < corners_.size(); ++i) {
    steps_.push_back(slope(corners_[i - 1], corners_[i]));
  }
}

void Ladder::Update(std::span<const VariantState> variants, double mean_length,
                    double batch_seconds, const BatchLimits& limits) {
  const bool all = candidates_.size() != variants.size() ||
                   HasMoved(mean_length, mean_length_, 0.1) ||
                   HasMoved(batch_seconds, batch_seconds_, 0.1);
  if (all) {
    mean_length_ = mean_length;
    batch_seconds_ = batch_seconds;
    const double length = std::max(1.0, mean_length);
    reference_ = {.rows = kReferenceRows,
                  .tokens = std::llround(kReferenceRows * length),
                  .squares = std::llround(kReferenceRows * length * length)};
  }
  if (candidates_.size() != variants.size()) {
    candidates_.resize(variants.size());
    order_.clear();
    for (size_t i = 0; i < variants.size(); ++i) order_.push_back(static_cast<int>(i));
  }
  if (!UpdateCandidates(variants, all, limits)) return;
  FindLevels(variants);
  FindCorners();
  tokens_per_second_ = 0;
  if (levels_.empty()) return;
  const double seconds = BatchSeconds(WithoutFixed(levels_.back().cost), reference_);
  if (seconds > 0) tokens_per_second_ = static_cast<double>(reference_.tokens) / seconds;
}

double Ladder::Tokens(const WorkShape& work) const {
  if (tokens_per_second_ == 0) return static_cast<double>(work.tokens);
  return tokens_per_second_ * BatchSeconds(WithoutFixed(levels_.back().cost), work);
}

}  // namespace tailor
