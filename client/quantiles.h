// SPDX-License-Identifier: Apache-2.0
// Quantiles of a full sample with distribution-free confidence intervals.
#pragma once

#include <optional>
#include <span>

namespace tailor::client {

struct QuantileEstimate {
  double value = 0;
  // 95 % interval from the order statistics: the number of samples below the true quantile is
  // binomial. Absent where the sample is too small to bound that side: a p99 needs 368 samples for
  // an upper bound (0.99^n <= 2.5 %).
  std::optional<double> low;
  std::optional<double> high;
};

// The smallest sample that at least the share `p` (in (0, 1)) of the samples does not exceed.
// `sorted` is ascending; nothing when it is empty.
std::optional<QuantileEstimate> EstimateQuantile(std::span<const double> sorted, double p);

}  // namespace tailor::client
