// SPDX-License-Identifier: Apache-2.0
// What a second of the engine saves, on numbers that can be worked out by hand.
#include "server/pipeline/policies/expected_demand.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"

namespace tailor {
namespace {

constexpr double kQuality = 0.6;  // of the cheapest: 1 ms for 100 tokens
constexpr double kBudget = 0.1;
// What may wait before a request of 1 ms is refused, as in expected_demand.cc.
constexpr double kBearable = 0.7 * (kBudget - 1e-3);

class ExpectedDemandTest : public ::testing::Test {
 protected:
  // Requests of 100 tokens at a steady rate for two seconds.
  void Expect(double rate) {
    const std::vector<VariantState> variants = {{.quality = 0.9, .cost = {.per_token = 1e-4}},
                                                {.quality = kQuality, .cost = {.per_token = 1e-5}}};
    TimePoint now{std::chrono::hours(1)};
    const int count = static_cast<int>(2 * rate);
    for (int i = 0; i < count; ++i) {
      now += FromSeconds(1 / rate);
      QueueEntry entry{.arrival = now, .deadline = now + FromSeconds(kBudget)};
      entry.total.Add(100);
      demand_.Observe(entry, now);
    }
    ASSERT_TRUE(demand_.Update(now));
    ladder_.Update(variants, demand_.mean_length(), 0, BatchLimits());
    demand_.Describe(ladder_);
    ASSERT_EQ(demand_.classes().size(), 1U);
    ASSERT_NEAR(demand_.classes()[0].rate, rate, 0.01 * rate);
  }

  // With so much waiting, all due before a newcomer.
  double Price(double waiting_seconds, double fullness = 0) const {
    std::vector<PricedItem> items(10);
    for (PricedItem& item : items) {
      item.least = waiting_seconds / 10;
      item.tokens = item.least / ladder_.corner(0).per_token;
      item.left = kBudget / 2;
    }
    return demand_.RefusalPrice({.items = items, .fullness = fullness}, ladder_);
  }

  ExpectedDemand demand_;
  Ladder ladder_;
};

TEST_F(ExpectedDemandTest, NothingIsExpectedYet) {
  EXPECT_EQ(demand_.RefusalPrice({.tail_seconds = 1, .fullness = 1}, ladder_), 0);
}

TEST_F(ExpectedDemandTest, AnEmptyQueueCostsNobodyAnything) {
  Expect(500);
  EXPECT_EQ(Price(0), 0);
}

// Load 0.8: a random walk with steps of 1 ms falls by 0.2 s a second. With 60 of 69.3 ms waiting
// it reaches the end with the probability (e^(400 * 0.06) - 1) / (e^(400 * 0.0693) - 1); then 800
// requests a second are refused.
TEST_F(ExpectedDemandTest, CostsWhatIsRefusedIfTheBacklogGrows) {
  Expect(800);
  const double share = std::expm1(400 * 0.06) / std::expm1(400 * kBearable);
  EXPECT_NEAR(Price(0.06) / (share * 800 * kQuality), 1, 0.15);
  EXPECT_NEAR(Price(kBearable), 800 * kQuality, 8);
  EXPECT_LT(Price(0.03), 1e-3 * Price(0.06));
}

// The cheapest cannot serve all: a second is a thousand requests of 1 ms, however little waits.
TEST_F(ExpectedDemandTest, UnderOverloadASecondIsWorthAllThatItServes) {
  Expect(1500);
  EXPECT_NEAR(Price(kBearable), 1000 * kQuality, 1);
  EXPECT_GT(Price(0.01), 0.9 * 1000 * kQuality);
}

// Every deadline is far, but the queue is nearly full.
TEST_F(ExpectedDemandTest, AFullQueueRefusesToo) {
  Expect(800);
  EXPECT_LT(Price(0.01), 1e-6 * kQuality);
  EXPECT_GT(Price(0.01, 0.79), 0.9 * 800 * kQuality);
  EXPECT_NEAR(Price(0.01, 0.8), 800 * kQuality, 8);
}

}  // namespace
}  // namespace tailor
