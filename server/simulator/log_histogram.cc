// SPDX-License-Identifier: Apache-2.0
#include "server/simulator/log_histogram.h"

#include <algorithm>
#include <cmath>

namespace tailor {
namespace {

constexpr double kFirst = 1e-8;
constexpr double kGrowth = 1.02;

}  // namespace

void LogHistogram::Add(double seconds) {
  const double bucket = std::ceil(std::log(std::max(seconds, kFirst) / kFirst) / std::log(kGrowth));
  ++counts_[static_cast<size_t>(std::min<double>(bucket, kBuckets - 1))];
  ++count_;
}

double LogHistogram::Quantile(double p) const {
  if (count_ == 0) return 0;
  const double wanted = p * static_cast<double>(count_);
  int64_t seen = 0;
  int bucket = 0;
  for (; bucket < kBuckets - 1; ++bucket) {
    seen += counts_[static_cast<size_t>(bucket)];
    if (static_cast<double>(seen) >= wanted) break;
  }
  return kFirst * std::pow(kGrowth, bucket);
}

}  // namespace tailor
