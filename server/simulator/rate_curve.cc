// SPDX-License-Identifier: Apache-2.0
#include "server/simulator/rate_curve.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "server/simulator/random.h"

namespace tailor {
namespace {

constexpr double kMaxStepSeconds = 0.01;
// A long run in coarser steps, so that memory is bounded.
constexpr double kMaxSteps = 1e6;
constexpr uint64_t kSpikeStream = 21;
constexpr int kNumSpikes = 8;

struct Spike {
  double at;      // share of the run
  double width;   // share of the run
  double height;  // of the mean rate
};

double Hump(double share, double at, double width) {
  const double z = (share - at) / width;
  return std::exp(-0.5 * z * z);
}

}  // namespace

template <typename Function>
RateCurve::RateCurve(Duration run, Function rate_at) : run_(run), step_seconds_(0) {
  const double seconds = ToSeconds(run);
  const double count = std::clamp(std::ceil(seconds / kMaxStepSeconds - 1e-9), 1.0, kMaxSteps);
  step_seconds_ = seconds / count;
  steps_.resize(static_cast<size_t>(count));
  for (size_t i = 0; i < steps_.size(); ++i) {
    steps_[i] = rate_at((static_cast<double>(i) + 0.5) * step_seconds_);
  }
}

RateCurve RateCurve::Constant(Duration run) {
  return {run, [](double) { return 1.0; }};
}

RateCurve RateCurve::Ramp(Duration run, double per_second) {
  constexpr double kFrom = 2500;
  constexpr double kTo = 7400;
  const double start = 0.25 * ToSeconds(run);
  return {run, [=](double at) {
            return std::clamp(kFrom + per_second * (at - start), kFrom, kTo) / kTo;
          }};
}

RateCurve RateCurve::Day(Duration run, uint64_t seed) {
  Random random(seed, kSpikeStream);
  std::vector<Spike> spikes(kNumSpikes);
  for (Spike& spike : spikes) {
    spike = {.at = random.Uniform(),
             .width = 0.002 + 0.006 * random.Uniform(),
             .height = 0.6 * random.LogNormal(0.5)};
  }
  RateCurve curve(run, [&](double at) {
    const double share = at / ToSeconds(run);
    double rate = 0.5 + 0.6 * Hump(share, 0.42, 0.1) + 0.5 * Hump(share, 0.75, 0.09) +
                  0.1 * std::sin(24 * std::numbers::pi * share);
    for (const Spike& spike : spikes) rate += spike.height * Hump(share, spike.at, spike.width);
    return rate;
  });
  const double mean = std::accumulate(curve.steps_.begin(), curve.steps_.end(), 0.0) /
                      static_cast<double>(curve.steps_.size());
  for (double& step : curve.steps_) step /= mean;
  return curve;
}

RateCurve RateCurve::Flash(Duration run) {
  const double seconds = ToSeconds(run);
  return {run, [=](double at) {
            const double since = at / seconds - 1.0 / 3;
            if (since < 0) return 0.5;
            const double rise = std::min(1.0, since / 0.02);
            return 0.5 + 2.5 * rise * std::exp(-std::max(0.0, since - 0.02) / 0.15);
          }};
}

}  // namespace tailor
