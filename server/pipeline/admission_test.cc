// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/admission.h"

#include <vector>

#include "gtest/gtest.h"

#include "server/pipeline/refusal.h"
#include "tests/testing/pipeline_harness.h"

namespace tailor {
namespace {

constexpr TimePoint kNow{std::chrono::hours(1)};

Duration Millis(double ms) { return FromSeconds(ms * 1e-3); }

class AdmissionTest : public ::testing::Test {
 protected:
  AdmissionTest() { variants_ = {{.quality = 0.9, .cost = {.per_token = 1e-5}}}; }

  static WorkShape Work(int tokens) {
    WorkShape work;
    work.Add(tokens);
    return work;
  }

  // A request that waits: 100 tokens are 1 ms.
  void Queue(double left_ms, int tokens, int priority = 0) {
    QueueEntry entry{.arrival = kNow,
                     .deadline = kNow + Millis(left_ms),
                     .priority = priority,
                     .admissible = 1,
                     .cheapest = 0,
                     .total = Work(tokens),
                     .waiting = Work(tokens)};
    const QueueKey key{entry.deadline, priority, items_.size()};
    items_.emplace(key, QueueItem{.pending = nullptr, .entry = entry});
  }

  absl::Status JudgeLoad(double budget_ms, int tokens, int priority = 0, double busy_ms = 0) {
    const Demand demand{.arrival = kNow,
                        .deadline = kNow + Millis(budget_ms),
                        .priority = priority,
                        .admissible = 1,
                        .any_quality = 1,
                        .work = Work(tokens)};
    const QueueLoad load{.items = items_,
                         .waiting = {.requests = static_cast<int>(items_.size()), .tokens = 0},
                         .tokenizing = {},
                         .busy_seconds = busy_ms * 1e-3,
                         .num_workers = 1};
    return admission_.JudgeLoad(demand, 0, load, variants_, kNow);
  }

  std::vector<ServedVariant> served_ = MakeServed({{.id = "a", .quality = 0.9, .cost = {}}});
  Admission admission_{PipelineHarness::Options(), CurrentLimits(), served_};
  std::vector<VariantState> variants_;
  QueueItems items_;
};

TEST_F(AdmissionTest, AnIdleServerTakesWhatFitsExactly) {
  EXPECT_TRUE(JudgeLoad(1, 100).ok());
  EXPECT_FALSE(JudgeLoad(0.99, 100).ok());
}

TEST_F(AdmissionTest, CountsTheRunningBatch) {
  EXPECT_TRUE(JudgeLoad(10, 100, 2, /*busy_ms=*/8.9).ok());
  EXPECT_FALSE(JudgeLoad(10, 100, 2, /*busy_ms=*/9.1).ok());
}

// Nobody is in the queue, so nobody more important can be kept waiting by it.
TEST_F(AdmissionTest, TheRunningBatchTakesNoShare) {
  EXPECT_TRUE(JudgeLoad(10, 100, 0, /*busy_ms=*/8.9).ok());
  EXPECT_FALSE(JudgeLoad(10, 100, 0, /*busy_ms=*/9.1).ok());
}

TEST_F(AdmissionTest, CountsOnlyWhatGoesFirst) {
  Queue(/*left_ms=*/500, /*tokens=*/5000);
  EXPECT_TRUE(JudgeLoad(10, 100).ok());
  Queue(/*left_ms=*/9, /*tokens=*/850);
  EXPECT_FALSE(JudgeLoad(10, 100).ok());
}

TEST_F(AdmissionTest, SaysWhenToComeBack) {
  Queue(/*left_ms=*/9.5, /*tokens=*/900);
  const absl::Status status = JudgeLoad(10, 100, 2, /*busy_ms=*/5);
  const RefusalDetails details = GetRefusal(status);
  EXPECT_EQ(details.refusal, Refusal::kOverloaded);
  ASSERT_TRUE(details.retry_after.has_value());
  EXPECT_NEAR(ToMillis(*details.retry_after), 9 + 5 - 9, 0.01);
}

TEST_F(AdmissionTest, LowPrioritiesLeaveRoom) {
  Queue(/*left_ms=*/9, /*tokens=*/850);
  EXPECT_FALSE(JudgeLoad(10.2, 100, 0).ok());
  EXPECT_TRUE(JudgeLoad(10.2, 100, 1).ok());
  EXPECT_TRUE(JudgeLoad(10.2, 100, 2).ok());
}

// The new one would be in time, but not the one it overtakes.
TEST_F(AdmissionTest, DoesNotMakeAcceptedRequestsLate) {
  Queue(/*left_ms=*/20, /*tokens=*/1950);
  EXPECT_FALSE(JudgeLoad(10, 100, 0).ok());
  EXPECT_TRUE(JudgeLoad(10, 40, 0).ok());
}

TEST_F(AdmissionTest, AMoreImportantRequestMayPushOneOut) {
  Queue(/*left_ms=*/20, /*tokens=*/1950, /*priority=*/0);
  EXPECT_TRUE(JudgeLoad(10, 100, 1).ok());
}

// What is late anyway is no reason to refuse.
TEST_F(AdmissionTest, IgnoresTheLost) {
  Queue(/*left_ms=*/20, /*tokens=*/9000);
  EXPECT_TRUE(JudgeLoad(10, 100).ok());
}

// An infeasible budget is told so under load too: retrying would never help.
TEST_F(AdmissionTest, LoadDoesNotHideAnInfeasibleBudget) {
  Queue(/*left_ms=*/1, /*tokens=*/900);
  const Demand demand{.arrival = kNow,
                      .deadline = kNow + Millis(1),
                      .admissible = 1,
                      .any_quality = 1,
                      .work = Work(1000)};
  const QueueLoad load{
      .items = items_, .waiting = {.requests = 1, .tokens = 900}, .tokenizing = {}};
  EXPECT_TRUE(admission_.JudgeArrival(demand, load, variants_, kNow).ok());
  EXPECT_EQ(GetRefusal(admission_.JudgeIdle(demand, variants_).status).refusal,
            Refusal::kBudgetInfeasible);
}

}  // namespace
}  // namespace tailor
