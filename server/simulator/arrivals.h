// SPDX-License-Identifier: Apache-2.0
// When requests arrive: gaps of a given spread, stretched by a rate curve.
#pragma once

#include <optional>

#include "base/clock.h"
#include "server/simulator/random.h"
#include "server/simulator/rate_curve.h"

namespace tailor {

// One owner. The gaps have mean 1 in units of expected arrivals: where the curve doubles the rate,
// they take half the time.
class Arrivals {
 public:
  // rate: arrivals a second where the curve is 1. squared_cv: of the gaps; 0 is a metronome, 1 a
  // Poisson process, more is bursty. `curve` outlives it.
  Arrivals(const RateCurve* curve, double rate, double squared_cv, uint64_t seed, uint64_t stream);

  // The next arrival from the start of the run; nothing when the run is over.
  std::optional<Duration> Next();

 private:
  double Gap();

  const RateCurve& curve_;
  const double rate_;
  const double squared_cv_;
  Random random_;
  size_t step_ = 0;
  double into_step_ = 0;  // seconds
};

}  // namespace tailor
