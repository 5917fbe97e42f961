// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/policies/burstiness.h"

#include <algorithm>

namespace tailor {
namespace {

constexpr double kWeight = 1.0 / 32;  // of a span
constexpr double kLeastSpan = 1e-3;
// More empty spans than this tell nothing new.
constexpr int kMostEmpty = 64;

}  // namespace

void Burstiness::SetSpan(double seconds) { span_ = std::max(kLeastSpan, seconds); }

void Burstiness::Close() {
  // Half the squared step from span to span: a rate that rises is no burst.
  const double step = work_ - previous_;
  variance_ += kWeight * (0.5 * step * step - variance_);
  expected_ += kWeight * (squares_ - expected_);
  previous_ = work_;
  work_ = 0;
  squares_ = 0;
}

void Burstiness::Observe(double work, TimePoint now) {
  if (!any_) opened_ = now;
  any_ = true;
  const Duration span = FromSeconds(span_);
  for (int i = 0; now - opened_ >= span; ++i) {
    Close();
    opened_ = i < kMostEmpty ? opened_ + span : now;
  }
  work_ += work;
  squares_ += work * work;
}

double Burstiness::factor() const {
  if (expected_ <= 0) return 1;
  return std::clamp(variance_ / expected_, 1.0, kMost);
}

}  // namespace tailor
