// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/backstop.h"

#include "gtest/gtest.h"

namespace tailor {
namespace {

constexpr Duration kBudget = std::chrono::milliseconds(100);
constexpr Duration kStep = std::chrono::milliseconds(10);

class BackstopTest : public ::testing::Test {
 protected:
  // Requests that start and end, one a step, after having waited for that part of their budget.
  void Serve(int requests, double waited, bool is_late) {
    for (int i = 0; i < requests; ++i) {
      now_ += kStep;
      const TimePoint pushed = now_ - FromSeconds(waited * ToSeconds(kBudget));
      backstop_.OnStarted(pushed, kBudget, now_);
      backstop_.OnEnded(pushed, is_late, now_);
    }
  }
  // Those that are let in before now say nothing of what comes.
  void Wait() { now_ += kBudget; }
  void Raise() {
    for (int i = 0; i < 2; ++i) {
      Serve(16, 0.9, true);
      Wait();
    }
    ASSERT_EQ(Factor(), Backstop::kUp);
  }
  double Factor() const { return backstop_.Factor(now_); }

  Backstop backstop_;
  TimePoint now_{std::chrono::hours(1)};
};

TEST_F(BackstopTest, ActsWhenEvenTheLeastWaitIsLongAndAnswersAreLate) {
  Serve(15, 0.9, true);
  EXPECT_EQ(Factor(), 1);  // too few
  Serve(1, 0.9, true);
  EXPECT_EQ(Factor(), 1);  // a warning
  Wait();
  Serve(16, 0.9, true);
  EXPECT_EQ(Factor(), Backstop::kUp);
}

TEST_F(BackstopTest, AWarningEndsWithAGoodInterval) {
  for (int i = 0; i < 10; ++i) {
    Serve(16, 0.9, true);
    Wait();
    Serve(16, 0.9, false);
    Wait();
  }
  EXPECT_EQ(Factor(), 1);
}

TEST_F(BackstopTest, LeavesALongQueueAloneThatKeepsItsPromises) {
  Serve(200, 0.9, false);
  EXPECT_EQ(Factor(), 1);
}

TEST_F(BackstopTest, LeavesABurstAlone) {
  for (int burst = 0; burst < 20; ++burst) {
    Serve(1, 0.01, false);
    Serve(15, 0.9, true);
  }
  EXPECT_EQ(Factor(), 1);
}

TEST_F(BackstopTest, ConcludesNothingFromFew) {
  now_ += 10 * Backstop::kInterval;
  for (int i = 0; i < Backstop::kLeastRequests - 1; ++i) {
    now_ += Backstop::kInterval / 2;
    backstop_.OnStarted(now_ - kBudget, kBudget, now_);
    backstop_.OnEnded(now_ - kBudget, true, now_);
  }
  EXPECT_EQ(Factor(), 1);
}

// Those who were let in before a step up say nothing of it.
TEST_F(BackstopTest, AStepIsJudgedByWhoCameAfterIt) {
  const TimePoint before = now_;
  Raise();
  for (int i = 0; i < 100; ++i) {
    now_ += kStep;
    backstop_.OnStarted(before, kBudget, now_);
    backstop_.OnEnded(before, true, now_);
  }
  EXPECT_EQ(Factor(), Backstop::kUp);
}

TEST_F(BackstopTest, RisesToABoundAndFallsAgain) {
  Serve(2000, 0.9, true);
  EXPECT_EQ(Factor(), Backstop::kMost);
  Serve(16, 0.9, false);
  EXPECT_EQ(Factor(), Backstop::kMost);  // the wait is still long
  Serve(16, 0.1, false);
  EXPECT_DOUBLE_EQ(Factor(), Backstop::kDown * Backstop::kMost);
  Serve(1000, 0.1, false);
  EXPECT_EQ(Factor(), 1);
}

TEST_F(BackstopTest, ForgetsAfterAPause) {
  Raise();
  now_ += Backstop::kForget - kBudget;
  EXPECT_EQ(Factor(), Backstop::kUp);
  now_ += kStep;
  EXPECT_EQ(Factor(), 1);
  Serve(1, 0.9, true);
  EXPECT_EQ(Factor(), 1);
}

}  // namespace
}  // namespace tailor
