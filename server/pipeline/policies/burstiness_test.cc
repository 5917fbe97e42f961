// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/policies/burstiness.h"

#include <cmath>
#include <random>

#include "gtest/gtest.h"

namespace tailor {
namespace {

// Batches of equal requests at independent times; the mean over the second half of the run.
double FactorOf(int batch, double seconds, double rate_at_end = 1) {
  Burstiness burstiness;
  burstiness.SetSpan(0.05);
  std::mt19937_64 random(1);
  TimePoint now{std::chrono::hours(1)};
  const TimePoint start = now;
  double sum = 0;
  int count = 0;
  while (ToSeconds(now - start) < seconds) {
    const double passed = ToSeconds(now - start) / seconds;
    const double rate = 400.0 / batch * (1 + (rate_at_end - 1) * passed);
    const double uniform = static_cast<double>(random() >> 11) * 0x1p-53;
    now += FromSeconds(-std::log1p(-uniform) / rate);
    for (int i = 0; i < batch; ++i) burstiness.Observe(100, now);
    if (passed < 0.5) continue;
    sum += burstiness.factor();
    ++count;
  }
  return sum / count;
}

TEST(Burstiness, IsOneForIndependentArrivals) { EXPECT_NEAR(FactorOf(1, 100), 1.1, 0.15); }

// Together, n requests have n times the variance of n alone.
TEST(Burstiness, IsTheSizeOfABatch) {
  EXPECT_NEAR(FactorOf(4, 200), 4, 0.6);
  EXPECT_NEAR(FactorOf(16, 400), 16, 3);
}

TEST(Burstiness, ARisingRateIsNoBurst) { EXPECT_NEAR(FactorOf(1, 20, 10), 1.1, 0.2); }

TEST(Burstiness, SilenceIsNoBurst) {
  Burstiness burstiness;
  EXPECT_EQ(burstiness.factor(), 1);
  burstiness.Observe(100, TimePoint(std::chrono::hours(1)));
  burstiness.Observe(100, TimePoint(std::chrono::hours(2)));
  EXPECT_GE(burstiness.factor(), 1);
}

}  // namespace
}  // namespace tailor
