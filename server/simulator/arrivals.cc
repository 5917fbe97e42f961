// SPDX-License-Identifier: Apache-2.0
#include "server/simulator/arrivals.h"

namespace tailor {

Arrivals::Arrivals(const RateCurve* curve, double rate, double squared_cv, uint64_t seed,
                   uint64_t stream)
    : curve_(*curve), rate_(rate), squared_cv_(squared_cv), random_(seed, stream) {}

double Arrivals::Gap() {
  if (squared_cv_ == 0) return 1;
  return squared_cv_ == 1 ? random_.Exponential() : random_.Gamma(squared_cv_);
}

std::optional<Duration> Arrivals::Next() {
  double left = Gap();
  for (; step_ < curve_.steps().size(); ++step_, into_step_ = 0) {
    const double rate = rate_ * curve_.steps()[step_];
    const double remaining = curve_.step_seconds() - into_step_;
    if (left < rate * remaining) {
      into_step_ += left / rate;
      return FromSeconds(static_cast<double>(step_) * curve_.step_seconds() + into_step_);
    }
    left -= rate * remaining;
  }
  return std::nullopt;
}

}  // namespace tailor
