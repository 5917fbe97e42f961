// SPDX-License-Identifier: Apache-2.0
// A backend that will never run again: everybody is told once, and nothing runs any more.
#include <memory>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "server/pipeline/cascade.h"
#include "server/pipeline/refusal.h"
#include "tests/testing/pipeline_harness.h"

namespace tailor {
namespace {

using ::testing::SizeIs;

constexpr int kLarge = 0;
constexpr int kSmall = 1;
constexpr int kBatchRows = 4;

std::vector<FakeVariant> Family() {
  return {{.id = "large", .quality = 0.9, .cost = {.per_token = 1e-4}},
          {.id = "small", .quality = 0.7, .cost = {.per_token = 1e-5}}};
}

class DeviceLossTest : public ::testing::Test {
 protected:
  RankerOptions Options() {
    RankerOptions options = PipelineHarness::Options();
    options.limits.max_sequences = kBatchRows;
    options.on_device_lost = [this](const absl::Status& problem) { losses_.push_back(problem); };
    return options;
  }

  RankerOptions WithCascades() {
    RankerOptions options = Options();
    options.limits.max_sequences = 20;
    options.cascade = std::make_shared<const CascadeTable>(
        std::vector<Calibration>{{.scores = {0, 1}, .values = {0, 1}, .quality = 0.9},
                                 {.scores = {0, 1}, .values = {0, 1}, .quality = 0.7}},
        std::vector<CascadePair>{
            {.first = kSmall, .second = kLarge, .shares = {0.5}, .qualities = {0.86}}});
    return options;
  }

  // Too little time for all of them by the large variant.
  static CallOptions TwentyDocuments() { return {.documents = 20, .tokens = 50, .budget_ms = 80}; }

  static void ExpectLost(const Call& call) {
    EXPECT_EQ(call.answers, 1);
    EXPECT_EQ(GetRefusal(call.result.status()).refusal, Refusal::kDeviceLost);
    EXPECT_TRUE(absl::IsUnavailable(call.result.status()));
  }

  // Nothing runs, and whoever comes now is refused.
  static void ExpectDead(PipelineHarness* harness, int num_workers = 1) {
    for (int worker = 0; worker < num_workers; ++worker) {
      const size_t runs = harness->backend(worker).runs().size();
      const int lost_runs = harness->backend(worker).num_lost_runs();
      ExpectLost(*harness->Submit({}));
      ExpectLost(*harness->Submit({.documents = 0}));
      EXPECT_FALSE(harness->ranker().RunOne(worker));
      EXPECT_THAT(harness->backend(worker).runs(), SizeIs(runs));
      EXPECT_EQ(harness->backend(worker).num_lost_runs(), lost_runs);
    }
    EXPECT_FALSE(harness->ranker().Report().admitting);
  }

  std::vector<absl::Status> losses_;
};

TEST_F(DeviceLossTest, WhatRunsAndWhatWaitsIsRefused) {
  PipelineHarness harness(Family(), Options());
  const auto in_parts = harness.Submit({.documents = kBatchRows + 2});
  const auto queued = harness.Submit({.documents = 1});
  harness.backend().LoseDevice();
  EXPECT_TRUE(harness.ranker().RunOne(0));
  ExpectLost(*in_parts);
  ExpectLost(*queued);
  ASSERT_THAT(losses_, SizeIs(1));
  EXPECT_EQ(losses_[0].message(), "injected loss");
  EXPECT_EQ(harness.backend().num_lost_runs(), 1);
  ExpectDead(&harness);
}

TEST_F(DeviceLossTest, TheServerKnowsBeforeItsCallers) {
  RankerOptions options = Options();
  std::shared_ptr<Call> call;
  int answers_before = -1;
  options.on_device_lost = [&](const absl::Status&) { answers_before = call->answers; };
  PipelineHarness harness(Family(), options);
  call = harness.Submit({});
  harness.backend().LoseDevice();
  harness.RunAll();
  EXPECT_EQ(answers_before, 0);
  ExpectLost(*call);
}

TEST_F(DeviceLossTest, ASecondPassThatRunsIsRefused) {
  PipelineHarness harness(Family(), WithCascades());
  const auto call = harness.Submit(TwentyDocuments());
  ASSERT_TRUE(harness.ranker().RunOne(0));
  ASSERT_EQ(call->answers, 0);
  harness.backend().LoseDevice();
  EXPECT_TRUE(harness.ranker().RunOne(0));
  ExpectLost(*call);
  EXPECT_EQ(harness.ranker().AnswerDue(), 0);
  ExpectDead(&harness);
}

TEST_F(DeviceLossTest, ASecondPassThatWaitsIsRefused) {
  PipelineHarness harness(Family(), WithCascades());
  const auto between = harness.Submit(TwentyDocuments());
  ASSERT_TRUE(harness.ranker().RunOne(0));
  ASSERT_EQ(between->answers, 0);
  const auto next = harness.Submit({});
  harness.backend().LoseDevice();
  EXPECT_TRUE(harness.ranker().RunOne(0));
  ExpectLost(*between);
  ExpectLost(*next);
  EXPECT_EQ(harness.ranker().AnswerDue(), 0);
  EXPECT_THAT(losses_, SizeIs(1));
  ExpectDead(&harness);
}

TEST_F(DeviceLossTest, AReviewFindsOut) {
  RankerOptions options = Options();
  options.live_quality.share = 1;
  PipelineHarness harness(Family(), options);
  // Too little time for the large variant, and a fifth of it is one of its documents'.
  const auto call = harness.Submit({.documents = 10, .tokens = 25, .budget_ms = 20});
  while (call->answers == 0) ASSERT_TRUE(harness.ranker().RunOne(0));
  ASSERT_TRUE(call->result.ok()) << call->result.status();
  harness.clock().Advance(std::chrono::seconds(10));
  harness.backend().LoseDevice();
  ASSERT_TRUE(harness.ranker().RunOne(0));
  EXPECT_EQ(harness.backend().num_lost_runs(), 1);
  EXPECT_EQ(call->answers, 1);
  EXPECT_THAT(losses_, SizeIs(1));
  ExpectDead(&harness);
}

TEST_F(DeviceLossTest, TwoWorkersThatLoseTheirsAreOneLoss) {
  PipelineHarness harness(Family(), Options(), 2);
  const auto first = harness.Submit({.documents = kBatchRows});
  const auto second = harness.Submit({.documents = kBatchRows});
  harness.backend(0).set_on_run([&] {
    harness.backend(0).LoseDevice();
    harness.backend(1).LoseDevice();
    EXPECT_TRUE(harness.ranker().RunOne(1));
  });
  EXPECT_TRUE(harness.ranker().RunOne(0));
  ExpectLost(*first);
  ExpectLost(*second);
  EXPECT_THAT(losses_, SizeIs(1));
  EXPECT_EQ(harness.backend(0).num_lost_runs(), 1);
  EXPECT_EQ(harness.backend(1).num_lost_runs(), 1);
  harness.backend(0).set_on_run(nullptr);
  ExpectDead(&harness, 2);
}

TEST_F(DeviceLossTest, ABatchOfAnotherDeviceIsAnsweredAndWasItsLast) {
  PipelineHarness harness(Family(), Options(), 2);
  const auto first = harness.Submit({.documents = kBatchRows});
  const auto second = harness.Submit({.documents = kBatchRows});
  const auto third = harness.Submit({.documents = kBatchRows});
  harness.backend(1).LoseDevice();
  harness.backend(0).set_on_run([&] { EXPECT_TRUE(harness.ranker().RunOne(1)); });
  EXPECT_TRUE(harness.ranker().RunOne(0));
  EXPECT_EQ(first->answers, 1);
  EXPECT_TRUE(first->result.ok()) << first->result.status();
  ExpectLost(*second);
  ExpectLost(*third);
  harness.backend(0).set_on_run(nullptr);
  ExpectDead(&harness, 2);
}

// What a ranker that loses its device in the n-th run of its warm-up comes to; 0: never.
struct WarmUp {
  absl::Status status;
  int runs = 0;
  int runs_after = 0;
};

class WarmUpLossTest : public DeviceLossTest {
 protected:
  WarmUp Run(int lost_in) {
    ManualClock clock;
    Recorder recorder(MakeRecorderOptions(Family()));
    const RankerOptions options = Options();
    auto backend = std::make_unique<FakeBackend>(
        std::vector<FakeCost>{Family()[0].cost, Family()[1].cost}, options.limits, &clock);
    FakeBackend* const fake = backend.get();
    std::vector<std::unique_ptr<Backend>> backends;
    backends.push_back(std::move(backend));
    auto ranker = SteppedRanker::Create(options, MakeWordTokenizer(), MakeServed(Family()),
                                        std::move(backends), &recorder, &clock);
    EXPECT_TRUE(ranker.ok()) << ranker.status();
    WarmUp result;
    fake->set_on_run([&] {
      if (++result.runs == lost_in) fake->LoseDevice();
    });
    result.status = (*ranker)->WarmUp();
    result.runs_after = result.runs - lost_in;
    const auto call = MakeCall({});
    (*ranker)->Submit(MakeRequest(*call, {}, clock.Now()),
                      [&](absl::StatusOr<Answer> answer) { call->result = std::move(answer); });
    if (lost_in > 0) {
      EXPECT_EQ(GetRefusal(call->result.status()).refusal, Refusal::kDeviceLost);
    }
    return result;
  }
};

TEST_F(WarmUpLossTest, EndsItAtOnce) {
  const WarmUp whole = Run(0);
  ASSERT_TRUE(whole.status.ok()) << whole.status;
  ASSERT_GT(whole.runs, 2);
  // While the first variant is measured, and in the very last run, that of a cold start.
  for (const int lost_in : {1, 2, whole.runs}) {
    losses_.clear();
    const WarmUp lost = Run(lost_in);
    EXPECT_EQ(GetRefusal(lost.status).refusal, Refusal::kDeviceLost) << lost_in;
    EXPECT_EQ(lost.runs_after, 0) << lost_in;
    EXPECT_THAT(losses_, SizeIs(1)) << lost_in;
  }
}

}  // namespace
}  // namespace tailor
