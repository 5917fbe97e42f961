// SPDX-License-Identifier: Apache-2.0
// One source of numbers: what the recorder's shards hold is what the choice, Explain and the report
// follow. Nothing here runs a slow batch; only the shards are told of some.
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/testing/pipeline_harness.h"

namespace tailor {
namespace {

using ::testing::HasSubstr;

// 100 tokens take 10 ms or 1 ms.
class OneSourceTest : public ::testing::Test {
 protected:
  OneSourceTest()
      : harness_({{.id = "large", .quality = 0.9, .cost = {.per_token = 1e-4}},
                  {.id = "small", .quality = 0.7, .cost = {.per_token = 1e-5}}}) {}

  // The variant that a request of 100 tokens and 15 ms gets.
  int Chosen() {
    const auto call = harness_.Submit({.documents = 1, .tokens = 100, .budget_ms = 15});
    harness_.RunAll();
    EXPECT_TRUE(call->result.ok()) << call->result.status();
    return call->result.ok() ? call->result->variant : -1;
  }

  // A window of batches on "large" that took twice what was fitted.
  void TellShardsThatLargeIsSlow() {
    for (int i = 0; i < 8; ++i) {
      harness_.recorder().RecordBatch({.variant = 0,
                                       .pairs = 1,
                                       .tokens = 100,
                                       .engine_seconds = 0.020,
                                       .predicted_seconds = 0.010,
                                       .modeled_seconds = 0.010});
    }
  }

  Explanation Explain() {
    return harness_.ranker().Explain(
        {.lengths = {100}, .budget = std::chrono::milliseconds(15), .variant = ""});
  }

  PipelineHarness harness_;
};

TEST_F(OneSourceTest, WhatTheShardsHoldChangesTheChoice) {
  ASSERT_EQ(Chosen(), 0);
  ASSERT_EQ(Explain().variant, 0);
  TellShardsThatLargeIsSlow();
  EXPECT_EQ(Chosen(), 1);
  const Explanation explanation = Explain();
  EXPECT_EQ(explanation.variant, 1);
  EXPECT_THAT(explanation.candidates[0].why, HasSubstr("the budget leaves 15.0 ms"));
  EXPECT_GT(harness_.ranker().Report().costs[0].ratio, 1.8);
  // The other one shares what slows the host, less what may be an error of one fit.
  EXPECT_LT(harness_.ranker().Report().costs[1].ratio, 1.65);
}

// Without news the ratio returns to 1, and with it the choice.
TEST_F(OneSourceTest, TheChoiceReturnsWhenTheShardsSayNothingMore) {
  TellShardsThatLargeIsSlow();
  ASSERT_EQ(Chosen(), 1);
  harness_.clock().Advance(std::chrono::seconds(20));
  EXPECT_EQ(Chosen(), 0);
}

// Prometheus prints the same sums.
TEST_F(OneSourceTest, TheMetricsAreTheSameSums) {
  const int large[] = {0};
  const double before = harness_.recorder().Value(Metric::kCostObserved, large);
  TellShardsThatLargeIsSlow();
  EXPECT_NEAR(harness_.recorder().Value(Metric::kCostObserved, large) - before, 0.160, 1e-9);
}

}  // namespace
}  // namespace tailor
