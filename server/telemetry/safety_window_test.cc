// SPDX-License-Identifier: Apache-2.0
#include "server/telemetry/safety_window.h"

#include "gtest/gtest.h"

namespace tailor {
namespace {

class SafetyWindowTest : public ::testing::Test {
 protected:
  void Batches(int count, BatchStart start, double ratio) {
    for (int i = 0; i < count; ++i) recorder_.RecordPredictionError(start, 0.01 * ratio, 0.01);
    window_.Update();
  }
  double Busy() const { return window_.Factor(BatchStart::kBusy); }
  double Idle() const { return window_.Factor(BatchStart::kIdle); }

  Recorder recorder_{{.variants = {{.id = "a"}}}};
  SafetyWindow window_{&recorder_, 1.1};
};

TEST_F(SafetyWindowTest, StartsAtTheLeastFactor) {
  EXPECT_EQ(Busy(), 1.1);
  EXPECT_EQ(Idle(), 1.1);
}

TEST_F(SafetyWindowTest, StaysThereWhilePredictionsHold) {
  Batches(200, BatchStart::kBusy, 0.98);
  EXPECT_EQ(Busy(), 1.1);
}

// What follows a pause is slower, and says nothing of what follows another batch.
TEST_F(SafetyWindowTest, TellsColdStartsFromWarmOnes) {
  Batches(100, BatchStart::kIdle, 1.35);
  EXPECT_GT(Idle(), 1.3);
  EXPECT_LE(Idle(), 1.4);
  EXPECT_EQ(Busy(), 1.1);
}

TEST_F(SafetyWindowTest, IsTheUpperQuantile) {
  // 4 in 100 in the bucket from 1.4 to 1.5: more than the 3 that are left out.
  for (int i = 0; i < 20; ++i) {
    Batches(96, BatchStart::kBusy, 0.95);
    Batches(4, BatchStart::kBusy, 1.45);
  }
  EXPECT_GT(Busy(), 1.4);
  EXPECT_LE(Busy(), 1.5);
}

TEST_F(SafetyWindowTest, OneBadBatchAmongManyMovesNothing) {
  Batches(128, BatchStart::kBusy, 1);
  Batches(1, BatchStart::kBusy, 3);
  EXPECT_EQ(Busy(), 1.1);
}

TEST_F(SafetyWindowTest, ForgetsWithNews) {
  Batches(50, BatchStart::kBusy, 1.6);
  ASSERT_GT(Busy(), 1.5);
  for (int i = 0; i < 10; ++i) Batches(100, BatchStart::kBusy, 1);
  EXPECT_EQ(Busy(), 1.1);
}

TEST_F(SafetyWindowTest, IsBounded) {
  Batches(200, BatchStart::kBusy, 50);
  EXPECT_EQ(Busy(), 2);
  SafetyWindow careful(&recorder_, 2.5);
  careful.Update();
  EXPECT_EQ(careful.Factor(BatchStart::kBusy), 2.5);
}

// Microseconds late are no miss.
TEST_F(SafetyWindowTest, LeavesOutWhatIsTooShortToMatter) {
  for (int i = 0; i < 100; ++i) recorder_.RecordPredictionError(BatchStart::kIdle, 3e-4, 3e-5);
  window_.Update();
  EXPECT_EQ(Idle(), 1.1);
}

}  // namespace
}  // namespace tailor
