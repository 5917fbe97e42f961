// SPDX-License-Identifier: Apache-2.0
#include "server/simulator/arrivals.h"

#include <algorithm>
#include <vector>

#include "gtest/gtest.h"

#include "server/simulator/log_histogram.h"

namespace tailor {
namespace {

std::vector<double> Gaps(double rate, double squared_cv, const RateCurve& curve) {
  Arrivals arrivals(&curve, rate, squared_cv, /*seed=*/7, /*stream=*/0);
  std::vector<double> gaps;
  double last = 0;
  while (const std::optional<Duration> at = arrivals.Next()) {
    gaps.push_back(ToSeconds(*at) - last);
    last = ToSeconds(*at);
  }
  return gaps;
}

struct Moments {
  double mean = 0;
  double squared_cv = 0;
};

Moments MomentsOf(const std::vector<double>& values) {
  double sum = 0;
  double squares = 0;
  for (const double value : values) {
    sum += value;
    squares += value * value;
  }
  const double count = static_cast<double>(values.size());
  const double mean = sum / count;
  return {mean, (squares / count - mean * mean) / (mean * mean)};
}

TEST(Random, SameSeedSameNumbersOtherStreamOthers) {
  Random a(3, 1);
  Random b(3, 1);
  Random other(3, 2);
  int equal = 0;
  for (int i = 0; i < 100; ++i) {
    const uint64_t bits = a.Bits();
    EXPECT_EQ(bits, b.Bits());
    equal += bits == other.Bits() ? 1 : 0;
  }
  EXPECT_EQ(equal, 0);
}

class SpreadTest : public ::testing::TestWithParam<double> {};

TEST_P(SpreadTest, GapsHaveTheirMeanAndSpread) {
  const RateCurve curve = RateCurve::Constant(std::chrono::seconds(2000));
  const Moments moments = MomentsOf(Gaps(100, GetParam(), curve));
  EXPECT_NEAR(moments.mean, 0.01, 0.0004);
  EXPECT_NEAR(moments.squared_cv, GetParam(), 0.06 * GetParam() + 1e-6);
}

INSTANTIATE_TEST_SUITE_P(All, SpreadTest, ::testing::Values(0, 0.5, 1, 2, 4, 8));

TEST(Arrivals, FollowTheCurve) {
  const RateCurve curve = RateCurve::Flash(std::chrono::seconds(300));
  Arrivals arrivals(&curve, 100, 1, 5, 0);
  int before = 0;
  int crowd = 0;
  while (const std::optional<Duration> at = arrivals.Next()) {
    if (*at < std::chrono::seconds(100)) ++before;
    if (*at >= std::chrono::seconds(106) && *at < std::chrono::seconds(116)) ++crowd;
  }
  EXPECT_NEAR(before, 5000, 300);  // 0.5 x 100 q/s x 100 s
  EXPECT_NEAR(crowd, 2750, 250);   // near the peak of 3 x 100 q/s
}

TEST(RateCurve, RampRisesWithItsSlope) {
  const RateCurve curve = RateCurve::Ramp(std::chrono::seconds(60), 1000);
  const auto at = [&](double seconds) {
    return curve.steps()[static_cast<size_t>(seconds / curve.step_seconds())];
  };
  EXPECT_NEAR(at(10), 2500.0 / 7400, 1e-3);
  EXPECT_NEAR(at(17), 4500.0 / 7400, 2e-3);
  EXPECT_NEAR(at(20.5), 1, 1e-9);
}

TEST(RateCurve, DayHasMeanOneAndDiffersBySeed) {
  const RateCurve day = RateCurve::Day(std::chrono::seconds(120), 1);
  const RateCurve other = RateCurve::Day(std::chrono::seconds(120), 2);
  double sum = 0;
  double most = 0;
  for (const double step : day.steps()) {
    sum += step;
    most = std::max(most, step);
    EXPECT_GT(step, 0);
  }
  EXPECT_NEAR(sum / static_cast<double>(day.steps().size()), 1, 1e-9);
  EXPECT_GT(most, 1.3);
  EXPECT_NE(day.steps(), other.steps());
}

TEST(RateCurve, LongRunsNeedNoMoreMemory) {
  const RateCurve curve = RateCurve::Constant(std::chrono::hours(24 * 30));
  EXPECT_LE(curve.steps().size(), 1000000u);
  EXPECT_NEAR(curve.step_seconds() * static_cast<double>(curve.steps().size()), 24 * 30 * 3600.0,
              1);
}

TEST(LogHistogram, QuantilesAreWithinTwoPercentAbove) {
  LogHistogram histogram;
  for (int i = 1; i <= 1000; ++i) histogram.Add(i * 1e-3);
  for (const double p : {0.01, 0.5, 0.99}) {
    EXPECT_GE(histogram.Quantile(p), p - 1e-12);
    EXPECT_LE(histogram.Quantile(p), p * 1.0201);
  }
  EXPECT_EQ(LogHistogram().Quantile(0.5), 0);
}

}  // namespace
}  // namespace tailor
