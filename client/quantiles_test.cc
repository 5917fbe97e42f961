// SPDX-License-Identifier: Apache-2.0
#include "client/quantiles.h"

#include <numeric>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace tailor::client {
namespace {

std::vector<double> OneTo(int n) {
  std::vector<double> values(static_cast<size_t>(n));
  std::iota(values.begin(), values.end(), 1.0);
  return values;
}

TEST(EstimateQuantile, TakesOrderStatistics) {
  const std::vector<double> sorted = OneTo(1000);
  EXPECT_EQ(EstimateQuantile(sorted, 0.5)->value, 500);
  EXPECT_EQ(EstimateQuantile(sorted, 0.99)->value, 990);
  EXPECT_EQ(EstimateQuantile(sorted, 0.999)->value, 999);
  EXPECT_EQ(EstimateQuantile(OneTo(1), 0.99)->value, 1);
  EXPECT_FALSE(EstimateQuantile({}, 0.5).has_value());
}

// Tables of order-statistic intervals give ranks 40 and 61 for the median of 100.
TEST(EstimateQuantile, MedianIntervalMatchesTheTable) {
  const auto median = EstimateQuantile(OneTo(100), 0.5);
  EXPECT_EQ(median->low, 40);
  EXPECT_EQ(median->high, 61);
}

// 0.99^n <= 2.5 % first holds at n = 368; below that no sample bounds the p99 from above.
TEST(EstimateQuantile, SaysWhenTheSampleIsTooSmall) {
  EXPECT_FALSE(EstimateQuantile(OneTo(367), 0.99)->high.has_value());
  EXPECT_TRUE(EstimateQuantile(OneTo(368), 0.99)->high.has_value());
  EXPECT_TRUE(EstimateQuantile(OneTo(368), 0.99)->low.has_value());
}

TEST(EstimateQuantile, IntervalCoversTheTruthAsOftenAsItSays) {
  std::mt19937_64 random(7);
  int covered = 0;
  constexpr int kRuns = 400;
  for (int run = 0; run < kRuns; ++run) {
    std::vector<double> sample(1000);
    for (double& x : sample) x = std::uniform_real_distribution<double>(0, 1)(random);
    std::sort(sample.begin(), sample.end());
    const auto p99 = EstimateQuantile(sample, 0.99);
    covered += *p99->low <= 0.99 && 0.99 <= *p99->high;
  }
  EXPECT_GE(covered, kRuns * 93 / 100);
  EXPECT_LT(covered, kRuns) << "an interval that always covers is too wide";
}

TEST(EstimateQuantile, LargeSamplesDoNotUnderflow) {
  const auto p50 = EstimateQuantile(OneTo(1'000'000), 0.5);
  ASSERT_TRUE(p50->low && p50->high);
  EXPECT_NEAR(*p50->high - *p50->low, 2 * 1.96 * 500, 20);
}

}  // namespace
}  // namespace tailor::client
