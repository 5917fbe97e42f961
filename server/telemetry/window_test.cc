// SPDX-License-Identifier: Apache-2.0
#include "server/telemetry/window.h"

#include "gtest/gtest.h"

namespace tailor {
namespace {

class CostWindowTest : public ::testing::Test {
 protected:
  // A batch that took `factor` times what the fitted model says.
  void Batch(double factor, int variant = 0) {
    const double predicted = 0.01 * window_.Ratio(variant, now_);
    recorder_.RecordBatch({.variant = variant,
                           .pairs = 1,
                           .tokens = 10,
                           .engine_seconds = 0.01 * factor,
                           .predicted_seconds = predicted,
                           .modeled_seconds = 0.01});
    now_ += std::chrono::milliseconds(10);
    window_.Update(now_);
  }
  double Ratio() const { return window_.Ratio(0, now_); }

  Recorder recorder_{{.variants = {{.id = "a"}, {.id = "b"}}}};
  CostWindow window_{&recorder_};
  TimePoint now_{std::chrono::hours(1)};
};

TEST_F(CostWindowTest, StartsAtOne) { EXPECT_EQ(Ratio(), 1); }

TEST_F(CostWindowTest, FollowsALastingChangeUpFast) {
  for (int i = 0; i < 24; ++i) Batch(5);
  EXPECT_NEAR(Ratio(), 5, 0.2);
}

// A slow host is not learned anew for every variant.
TEST_F(CostWindowTest, SharesWhatSlowsTheHost) {
  Batch(1, 1);
  ASSERT_EQ(window_.Ratio(1, now_), 1);
  for (int i = 0; i < 60; ++i) Batch(5);
  EXPECT_NEAR(window_.Ratio(1, now_), 4, 0.5);
  for (int i = 0; i < 60; ++i) Batch(1);
  now_ += std::chrono::seconds(10);
  EXPECT_NEAR(window_.Ratio(1, now_), 1, 0.05);
}

// What one variant's fit is wrong by says nothing about the others.
TEST_F(CostWindowTest, KeepsAnErrorOfOneFitToItself) {
  for (int i = 0; i < 60; ++i) Batch(1.2);
  EXPECT_NEAR(Ratio(), 1.2, 0.01);
  EXPECT_EQ(window_.Ratio(1, now_), 1);
}

TEST_F(CostWindowTest, OneHiccupMovesItLittle) {
  for (int i = 0; i < 8; ++i) Batch(1);
  Batch(50);
  EXPECT_LT(Ratio(), 1.2);
  for (int i = 0; i < 30; ++i) Batch(1);
  EXPECT_NEAR(Ratio(), 1, 0.02);
}

TEST_F(CostWindowTest, ComesDownSlowly) {
  for (int i = 0; i < 24; ++i) Batch(4);
  for (int i = 0; i < 8; ++i) Batch(1);
  EXPECT_GT(Ratio(), 1.3);
  for (int i = 0; i < 40; ++i) Batch(1);
  EXPECT_NEAR(Ratio(), 1, 0.05);
}

// A variant that is avoided for being slow makes no news.
TEST_F(CostWindowTest, ForgetsWithoutNews) {
  for (int i = 0; i < 24; ++i) Batch(5);
  now_ += std::chrono::minutes(2);
  EXPECT_NEAR(Ratio(), 1, 0.01);
}

TEST_F(CostWindowTest, IsBounded) {
  for (int i = 0; i < 500; ++i) Batch(1e6);
  EXPECT_LE(Ratio(), 16);
  for (int i = 0; i < 500; ++i) Batch(1e-6);
  EXPECT_GE(Ratio(), 0.2);
}

}  // namespace
}  // namespace tailor
