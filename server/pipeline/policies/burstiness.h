// SPDX-License-Identifier: Apache-2.0
// How much more the work that arrives varies than it would with independent arrivals.
#pragma once

#include "base/clock.h"

namespace tailor {

// Not thread-safe. Knows of time only what it is told.
class Burstiness {
 public:
  void Observe(double work, TimePoint now);
  // The span over which it matters; takes effect at the next one.
  void SetSpan(double seconds);

  // Variance of the work of a span, over what a Poisson process with the same sizes would have; at
  // least 1.
  double factor() const;

 private:
  static constexpr double kMost = 64;

  void Close();

  double span_ = 0.05;  // seconds
  TimePoint opened_;
  bool any_ = false;
  double work_ = 0;      // of the span
  double squares_ = 0;   // of single requests
  double previous_ = 0;  // work of the span before
  double variance_ = 0;  // moving averages, over spans
  double expected_ = 0;
};

}  // namespace tailor
