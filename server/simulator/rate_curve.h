// SPDX-License-Identifier: Apache-2.0
// How the rate of a generated trace changes over its run.
#pragma once

#include <cstdint>
#include <vector>

#include "base/clock.h"

namespace tailor {

// Multiples of a trace's rate, in equal steps of at most 10 ms.
class RateCurve {
 public:
  // 1 throughout.
  static RateCurve Constant(Duration run);
  // From 2500/7400 to 1, with the slope `per_second` (q/s^2) of a system that serves 7400 q/s, from
  // a quarter of the run on: the ramps of SuperServe (NSDI 2025, section 6.3) at any capacity.
  static RateCurve Ramp(Duration run, double per_second);
  // A day compressed into the run, mean 1: two humps and eight spikes of random place and height,
  // the shape of the Azure functions trace.
  static RateCurve Day(Duration run, uint64_t seed);
  // 0.5, but from a third of the run on a crowd that comes within 2 % of the run, with a peak of 3,
  // and thins out with a time constant of 15 % of it.
  static RateCurve Flash(Duration run);

  Duration run() const { return run_; }
  double step_seconds() const { return step_seconds_; }
  const std::vector<double>& steps() const { return steps_; }

 private:
  template <typename Function>
  RateCurve(Duration run, Function rate_at);

  Duration run_;
  double step_seconds_;
  std::vector<double> steps_;
};

}  // namespace tailor
