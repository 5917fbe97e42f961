// SPDX-License-Identifier: Apache-2.0
// Quantiles of any number of durations in bounded memory.
#pragma once

#include <array>
#include <cstdint>

namespace tailor {

// Buckets grow by 2 % from 10 ns, so a quantile is at most 2 % too large; up to days.
class LogHistogram {
 public:
  void Add(double seconds);
  // The least bucket's end that the share `p` of the values does not exceed; 0 when empty.
  double Quantile(double p) const;
  int64_t count() const { return count_; }

 private:
  static constexpr int kBuckets = 1600;
  std::array<int64_t, kBuckets> counts_{};
  int64_t count_ = 0;
};

}  // namespace tailor
