// SPDX-License-Identifier: Apache-2.0
// What the pipeline does not answer: late, cancelled, impossible and too much work.
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "server/pipeline/ranker.h"
#include "server/pipeline/refusal.h"
#include "tests/testing/pipeline_harness.h"

namespace tailor {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// 100 tokens take 10 ms or 1 ms.
std::vector<FakeVariant> LargeAndSmall() {
  return {{.id = "large", .quality = 0.9, .cost = {.per_token = 1e-4}},
          {.id = "small", .quality = 0.7, .cost = {.per_token = 1e-5}}};
}

Refusal RefusalOf(const Call& call) {
  EXPECT_FALSE(call.result.ok());
  return GetRefusal(call.result.status()).refusal;
}

double Value(PipelineHarness& harness, Metric metric, std::vector<int> indices) {
  return harness.recorder().Value(metric, indices);
}

TEST(RankerRefusal, RefusesBeforeWarmUpAndWhenDraining) {
  ManualClock clock;
  const std::vector<FakeVariant> variants = LargeAndSmall();
  Recorder recorder(MakeRecorderOptions(variants));
  std::vector<std::unique_ptr<Backend>> backends;
  backends.push_back(
      std::make_unique<FakeBackend>(std::vector<FakeCost>(2), BatchLimits{}, &clock));
  auto ranker = SteppedRanker::Create(PipelineHarness::Options(), MakeWordTokenizer(),
                                      MakeServed(variants), std::move(backends), &recorder, &clock);
  ASSERT_TRUE(ranker.ok());
  EXPECT_FALSE((*ranker)->Report().warm);
  const auto call = MakeCall({});
  (*ranker)->Submit(MakeRequest(*call, {}, clock.Now()),
                    [&](absl::StatusOr<Answer> answer) { call->result = std::move(answer); });
  EXPECT_EQ(RefusalOf(*call), Refusal::kNotReady);

  PipelineHarness harness(variants);
  const auto queued = harness.Submit({});
  harness.ranker().StopAdmitting();
  EXPECT_EQ(RefusalOf(*harness.Submit({})), Refusal::kNotReady);
  harness.RunAll();
  EXPECT_TRUE(queued->result.ok());  // what was queued is answered
}

TEST(RankerRefusal, ExpiredAtArrivalDoesNoWork) {
  PipelineHarness harness(LargeAndSmall());
  const auto call = harness.Submit({.budget_ms = -1});
  EXPECT_EQ(RefusalOf(*call), Refusal::kDeadline);
  EXPECT_EQ(harness.RunAll(), 0);
  EXPECT_EQ(Value(harness, Metric::kShed, {static_cast<int>(Outcome::kDeadline), 0, 0}), 1);
}

TEST(RankerRefusal, ExpiredInTheQueueDoesNoWork) {
  PipelineHarness harness(LargeAndSmall());
  const auto call = harness.Submit({.budget_ms = 50});
  harness.clock().Advance(std::chrono::milliseconds(51));
  harness.RunAll();
  EXPECT_EQ(RefusalOf(*call), Refusal::kDeadline);
  EXPECT_THAT(harness.backend().runs(), IsEmpty());
}

// Not yet expired, but no variant could make it.
TEST(RankerRefusal, HopelessInTheQueueDoesNoWork) {
  PipelineHarness harness(LargeAndSmall());
  const auto call = harness.Submit({.documents = 10, .tokens = 100, .budget_ms = 50});
  harness.clock().Advance(std::chrono::milliseconds(45));
  harness.RunAll();
  EXPECT_EQ(RefusalOf(*call), Refusal::kOverloaded);
  EXPECT_THAT(harness.backend().runs(), IsEmpty());
}

TEST(RankerRefusal, LateAtTheReplyIsADeadline) {
  PipelineHarness harness(LargeAndSmall());
  harness.backend().set_slowdown(100);
  const auto call = harness.Submit({.documents = 1, .tokens = 100, .budget_ms = 50});
  harness.RunAll();
  EXPECT_EQ(RefusalOf(*call), Refusal::kDeadline);
  EXPECT_THAT(harness.backend().runs(), SizeIs(1));
}

TEST(RankerRefusal, CancelledInTheQueueDoesNoWork) {
  PipelineHarness harness(LargeAndSmall());
  const auto call = harness.Submit({});
  call->ticket->Cancel();
  EXPECT_EQ(RefusalOf(*call), Refusal::kCancelled);
  call->ticket->Cancel();
  EXPECT_EQ(harness.RunAll(), 0);
  EXPECT_EQ(call->answers, 1);
  EXPECT_THAT(harness.backend().runs(), IsEmpty());
  EXPECT_EQ(harness.ranker().Report().queued_tokens, 0);
}

TEST(RankerRefusal, CancelledWhileItRunsIsAnsweredOnce) {
  PipelineHarness harness(LargeAndSmall());
  const auto call = harness.Submit({.documents = 100, .tokens = 50, .budget_ms = 10000});
  bool first = true;
  harness.backend().set_on_run([&] {
    if (std::exchange(first, false)) call->ticket->Cancel();
  });
  harness.RunAll();
  EXPECT_EQ(call->answers, 1);
  EXPECT_EQ(RefusalOf(*call), Refusal::kCancelled);
  EXPECT_THAT(harness.backend().runs(), SizeIs(1));  // the rest never ran
}

TEST(RankerRefusal, CancelAfterTheAnswerAndAfterTheEndIsHarmless) {
  PipelineHarness harness(LargeAndSmall());
  const auto answered = harness.Submit({});
  harness.RunAll();
  answered->ticket->Cancel();
  const auto queued = harness.Submit({});
  harness.Destroy();
  answered->ticket->Cancel();
  queued->ticket->Cancel();
  EXPECT_EQ(answered->answers, 1);
  EXPECT_EQ(queued->answers, 1);
  EXPECT_EQ(RefusalOf(*queued), Refusal::kNotReady);
}

TEST(RankerRefusal, UnknownPinNamesTheNearest) {
  PipelineHarness harness(LargeAndSmall());
  const auto call = harness.Submit({.variant = "smal"});
  EXPECT_EQ(RefusalOf(*call), Refusal::kUnknownVariant);
  EXPECT_THAT(std::string(call->result.status().message()), HasSubstr("\"small\""));
}

TEST(RankerRefusal, PinnedTooSlowSaysWhatBudgetWouldDo) {
  PipelineHarness harness(LargeAndSmall());
  const auto call =
      harness.Submit({.documents = 1, .tokens = 100, .budget_ms = 5, .variant = "large"});
  EXPECT_EQ(RefusalOf(*call), Refusal::kBudgetInfeasible);
  EXPECT_NEAR(ToMillis(*GetRefusal(call->result.status()).smallest_feasible_budget), 10, 0.01);
}

TEST(RankerRefusal, InfeasibleBudgetNamesTheSmallestThatIsGranted) {
  RankerOptions options;  // with margin and safety
  PipelineHarness harness(LargeAndSmall(), options);
  CallOptions call_options{.documents = 3, .tokens = 100, .budget_ms = 1};
  const auto refused = harness.Submit(call_options);
  EXPECT_EQ(RefusalOf(*refused), Refusal::kBudgetInfeasible);
  const auto budget = GetRefusal(refused->result.status()).smallest_feasible_budget;
  ASSERT_TRUE(budget.has_value());
  EXPECT_NEAR(ToMillis(*budget), 1 + 1.1 * 3, 0.01);
  call_options.budget_ms = ToMillis(*budget);
  const auto granted = harness.Submit(call_options);
  harness.RunAll();
  EXPECT_TRUE(granted->result.ok()) << granted->result.status();
}

// A microsecond is over before it can be looked at; what the caller has to know is that no server
// could have met it. A budget that would have done was lost on the way.
TEST(RankerRefusal, ABudgetThatExpiredAtOnceIsInfeasibleNotLate) {
  PipelineHarness harness(LargeAndSmall());
  const auto tiny =
      harness.Submit({.documents = 3, .tokens = 100, .budget_ms = 0.001, .age_ms = 0.01});
  EXPECT_EQ(RefusalOf(*tiny), Refusal::kBudgetInfeasible);
  EXPECT_TRUE(GetRefusal(tiny->result.status()).smallest_feasible_budget.has_value());
  const auto late = harness.Submit({.documents = 3, .tokens = 100, .budget_ms = 50, .age_ms = 60});
  EXPECT_EQ(RefusalOf(*late), Refusal::kDeadline);
  EXPECT_EQ(harness.RunAll(), 0);
}

TEST(RankerRefusal, MinimumQualityExcludesTheCheap) {
  PipelineHarness harness(LargeAndSmall());
  const auto enough = harness.Submit({.tokens = 100, .budget_ms = 20, .min_quality = 0.8});
  harness.RunAll();
  ASSERT_TRUE(enough->result.ok());
  EXPECT_EQ(enough->result->variant, 0);
  const auto too_slow = harness.Submit({.tokens = 100, .budget_ms = 5, .min_quality = 0.8});
  EXPECT_EQ(RefusalOf(*too_slow), Refusal::kQualityInfeasible);
  EXPECT_NEAR(ToMillis(*GetRefusal(too_slow->result.status()).smallest_feasible_budget), 10, 0.01);
  EXPECT_THAT(std::string(too_slow->result.status().message()), HasSubstr("0.700"));
  const auto none = harness.Submit({.min_quality = 0.95});
  EXPECT_EQ(RefusalOf(*none), Refusal::kQualityInfeasible);
}

TEST(RankerRefusal, HeadsDecideWhatCanBeAsked) {
  PipelineHarness classifier(LargeAndSmall());
  EXPECT_EQ(RefusalOf(*classifier.Submit({.kind = RequestKind::kEmbed})),
            Refusal::kUnsupportedOutput);
  const auto classes = classifier.Submit({.kind = RequestKind::kClassify});
  classifier.RunAll();
  EXPECT_TRUE(classes->result.ok());

  PipelineHarness embedder({{.id = "e",
                             .quality = 0.9,
                             .cost = {.per_token = 1e-5, .num_outputs = 8},
                             .head = HeadKind::kEmbedding}});
  EXPECT_EQ(RefusalOf(*embedder.Submit({.kind = RequestKind::kRank})), Refusal::kUnsupportedOutput);
  EXPECT_EQ(RefusalOf(*embedder.Submit({.kind = RequestKind::kClassify})),
            Refusal::kUnsupportedOutput);
  const auto embedding = embedder.Submit({.kind = RequestKind::kEmbed, .documents = 3});
  embedder.RunAll();
  ASSERT_TRUE(embedding->result.ok());
  EXPECT_EQ(embedding->result->num_outputs, 8);
  EXPECT_THAT(embedding->result->outputs, SizeIs(24));

  PipelineHarness topics({{.id = "t",
                           .quality = 0.9,
                           .cost = {.per_token = 1e-5, .num_outputs = 3},
                           .task = TaskKind::kClassification}});
  EXPECT_EQ(RefusalOf(*topics.Submit({.kind = RequestKind::kScore})), Refusal::kUnsupportedOutput);
}

TEST(RankerRefusal, DegradesBeforeItRefuses) {
  PipelineHarness harness(LargeAndSmall());
  std::vector<std::shared_ptr<Call>> calls;
  for (int i = 0; i < 100; ++i) {
    calls.push_back(harness.Submit({.documents = 1, .tokens = 100, .budget_ms = 50, .seed = i}));
  }
  harness.RunAll();
  int degraded = 0;
  int overloaded = 0;
  for (const auto& call : calls) {
    if (call->result.ok()) {
      EXPECT_LE(ToMillis(call->answered - TimePoint(std::chrono::hours(1))), 1e9);
      degraded += call->result->reason == SelectionReason::kDegraded ? 1 : 0;
    } else {
      EXPECT_EQ(RefusalOf(*call), Refusal::kOverloaded);
      EXPECT_TRUE(GetRefusal(call->result.status()).retry_after.has_value());
      ++overloaded;
    }
  }
  // 50 ms hold 5 of the large or 50 of the small; a tenth is kept for higher priorities.
  EXPECT_GE(degraded, 30);
  EXPECT_NEAR(overloaded, 55, 3);
  EXPECT_EQ(Value(harness, Metric::kDegraded, {0, 1}), degraded);
}

// What was accepted is answered in time: that is what admission is for.
TEST(RankerRefusal, KeepsWhatItAccepted) {
  PipelineHarness harness(LargeAndSmall());
  std::vector<std::shared_ptr<Call>> calls;
  for (int i = 0; i < 300; ++i) {
    calls.push_back(harness.Submit(
        {.documents = 1 + i % 7, .tokens = 20 + i % 50, .budget_ms = 5.0 + i % 90, .seed = i}));
    if (i % 10 == 0) harness.ranker().RunOne(0);
  }
  harness.RunAll();
  int accepted = 0;
  for (const auto& call : calls) {
    if (call->result.ok()) {
      ++accepted;
      continue;
    }
    const Refusal refusal = RefusalOf(*call);
    EXPECT_TRUE(refusal == Refusal::kOverloaded || refusal == Refusal::kBudgetInfeasible)
        << call->result.status();
  }
  EXPECT_GT(accepted, 50);
  EXPECT_EQ(
      Value(harness, Metric::kShed,
            {static_cast<int>(Outcome::kDeadline), 0, static_cast<int>(PipelinePoint::kReply)}),
      0);
}

TEST(RankerRefusal, BoundsTheQueueByRequestsAndPriority) {
  RankerOptions options = PipelineHarness::Options();
  options.max_queued_requests = 10;
  PipelineHarness harness(LargeAndSmall(), options);
  const auto submit = [&](int priority) {
    return harness.Submit({.budget_ms = 10000, .priority = priority})->answers == 0;
  };
  int taken[3] = {};
  for (int priority = 0; priority < 3; ++priority) {
    while (submit(priority)) ++taken[priority];
  }
  // A fifth, a tenth and nothing are kept back, and the more important push out the others.
  EXPECT_THAT(taken, ElementsAre(8, 9, 10));
  EXPECT_EQ(harness.ranker().Report().queued_requests, 10);
}

TEST(RankerRefusal, BoundsTheQueueByTokens) {
  RankerOptions options = PipelineHarness::Options();
  options.max_queued_tokens = 1000;
  PipelineHarness harness(LargeAndSmall(), options);
  const auto fits = harness.Submit({.documents = 7, .tokens = 100, .budget_ms = 10000});
  const auto over = harness.Submit({.documents = 2, .tokens = 100, .budget_ms = 10000});
  const auto never = harness.Submit({.documents = 20, .tokens = 100, .budget_ms = 10000});
  EXPECT_EQ(fits->answers, 0);
  EXPECT_EQ(RefusalOf(*over), Refusal::kOverloaded);
  EXPECT_EQ(RefusalOf(*never), Refusal::kTooLarge);
}

TEST(RankerRefusal, HigherPriorityIsRefusedLast) {
  PipelineHarness harness({{.id = "only", .quality = 0.9, .cost = {.per_token = 1e-5}}});
  double budget_ms = 100;
  const auto fill = [&](int priority) {
    for (int taken = 0;; ++taken) {
      budget_ms += 1e-3;  // behind the ones before
      const auto call = harness.Submit(
          {.documents = 1, .tokens = 100, .budget_ms = budget_ms, .priority = priority});
      if (call->answers > 0) return taken;
    }
  };
  EXPECT_NEAR(fill(0), 90, 1);
  EXPECT_NEAR(fill(1), 95, 2);
  EXPECT_NEAR(fill(2), 100, 2);
}

// 100 tokens take 1 ms.
std::vector<FakeVariant> OnlyOne() {
  return {{.id = "only", .quality = 0.9, .cost = {.per_token = 1e-5}}};
}

// 14 ms wait; 9 ms more within 20.1 need 3 ms of them.
TEST(RankerRefusal, PushesOutTheLargestOfTheLeastImportant) {
  PipelineHarness harness(OnlyOne());
  const auto small = harness.Submit({.documents = 4, .tokens = 100, .budget_ms = 20});
  const auto large = harness.Submit({.documents = 8, .tokens = 100, .budget_ms = 20});
  const auto other =
      harness.Submit({.documents = 2, .tokens = 100, .budget_ms = 20, .priority = 1});
  EXPECT_EQ(harness.ranker().Report().queued_requests, 3);
  const auto important =
      harness.Submit({.documents = 9, .tokens = 100, .budget_ms = 20.1, .priority = 2});
  EXPECT_EQ(RefusalOf(*large), Refusal::kOverloaded);
  EXPECT_TRUE(GetRefusal(large->result.status()).retry_after.has_value());
  EXPECT_EQ(harness.ranker().Report().queued_requests, 3);
  harness.RunAll();
  for (const auto& call : {small, other, important}) EXPECT_TRUE(call->result.ok());
  EXPECT_EQ(large->answers, 1);
  const auto dequeue = static_cast<int>(PipelinePoint::kDequeue);
  EXPECT_EQ(Value(harness, Metric::kShed, {static_cast<int>(Outcome::kOverloaded), 0, dequeue}), 1);
}

TEST(RankerRefusal, PushesNobodyOutInVain) {
  PipelineHarness harness(OnlyOne());
  const auto low = harness.Submit({.documents = 1, .tokens = 100, .budget_ms = 20});
  const auto equal =
      harness.Submit({.documents = 14, .tokens = 100, .budget_ms = 20, .priority = 2});
  const auto refused =
      harness.Submit({.documents = 9, .tokens = 100, .budget_ms = 20.1, .priority = 2});
  EXPECT_EQ(RefusalOf(*refused), Refusal::kOverloaded);
  harness.RunAll();
  EXPECT_TRUE(low->result.ok());
  EXPECT_TRUE(equal->result.ok());
}

// What the engine has worked on is not thrown away.
TEST(RankerRefusal, DoesNotPushOutWhatHasBegun) {
  PipelineHarness harness(OnlyOne());
  const auto begun = harness.Submit({.documents = 40, .tokens = 100, .budget_ms = 60});
  ASSERT_TRUE(harness.ranker().RunOne(0));
  ASSERT_EQ(begun->answers, 0);
  const auto refused =
      harness.Submit({.documents = 38, .tokens = 100, .budget_ms = 70, .priority = 2});
  EXPECT_EQ(RefusalOf(*refused), Refusal::kOverloaded);
  harness.RunAll();
  EXPECT_TRUE(begun->result.ok());
}

// The one that is pushed out is told so before the engine sees it.
TEST(RankerRefusal, AtEqualDeadlinesTheMoreImportantGoesFirst) {
  PipelineHarness harness({{.id = "only", .quality = 0.9, .cost = {.per_token = 1e-5}}});
  const CallOptions low{.documents = 1, .tokens = 300, .budget_ms = 4};
  CallOptions high = low;
  high.priority = 1;
  const auto pushed_out = harness.Submit(low);
  const auto served = harness.Submit(high);
  harness.RunAll();
  EXPECT_TRUE(served->result.ok());
  EXPECT_EQ(RefusalOf(*pushed_out), Refusal::kOverloaded);
  EXPECT_THAT(harness.backend().runs(), SizeIs(1));
}

TEST(RankerRefusal, CreateRefusesBadInput) {
  ManualClock clock;
  const std::vector<FakeVariant> variants = LargeAndSmall();
  Recorder recorder(MakeRecorderOptions(variants));
  const auto create = [&](RankerOptions options, std::vector<FakeVariant> served) {
    std::vector<std::unique_ptr<Backend>> backends;
    backends.push_back(
        std::make_unique<FakeBackend>(std::vector<FakeCost>(2), BatchLimits{}, &clock));
    return Ranker::Create(options, MakeWordTokenizer(), MakeServed(served), std::move(backends),
                          &recorder, &clock)
        .status();
  };
  EXPECT_EQ(create({.policy = "tailored"}, {}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(create({.policy = "fixed:larg"}, variants).message()),
              HasSubstr("fixed:large"));
  EXPECT_TRUE(create({}, variants).ok());
}

}  // namespace
}  // namespace tailor
