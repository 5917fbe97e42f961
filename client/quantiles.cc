// SPDX-License-Identifier: Apache-2.0
#include "client/quantiles.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace tailor::client {
namespace {

constexpr double kTail = 0.025;

double LogBinomialPmf(double k, double n, double p) {
  return std::lgamma(n + 1) - std::lgamma(k + 1) - std::lgamma(n - k + 1) + k * std::log(p) +
         (n - k) * std::log1p(-p);
}

}  // namespace

std::optional<QuantileEstimate> EstimateQuantile(std::span<const double> sorted, double p) {
  const size_t n = sorted.size();
  if (n == 0) return std::nullopt;
  const double count = static_cast<double>(n);
  const auto rank = static_cast<size_t>(std::ceil(p * count));
  QuantileEstimate estimate;
  estimate.value = sorted[std::clamp<size_t>(rank, 1, n) - 1];
  // With B ~ Binomial(n, p) samples at or below the true quantile, sorted[r - 1] bounds it from
  // below when P(B < r) <= tail, and from above when P(B >= r) <= tail.
  double below = 0;  // P(B < r)
  for (size_t r = 1; r <= n; ++r) {
    below += std::exp(LogBinomialPmf(static_cast<double>(r - 1), count, p));
    if (below <= kTail) estimate.low = sorted[r - 1];
    if (1 - below <= kTail) {
      estimate.high = sorted[r - 1];
      break;
    }
  }
  return estimate;
}

}  // namespace tailor::client
