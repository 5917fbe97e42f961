// SPDX-License-Identifier: Apache-2.0
// The pipeline end to end on a fake engine and a clock that stands still.
#include "server/pipeline/ranker.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "server/pipeline/answering.h"
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

TEST(Ranker, AnswersWithTheBestVariantInTime) {
  PipelineHarness harness(LargeAndSmall());
  const auto lazy = harness.Submit({.documents = 2, .tokens = 50, .budget_ms = 100});
  EXPECT_EQ(harness.RunAll(), 1);
  ASSERT_TRUE(lazy->result.ok());
  const Answer& answer = *lazy->result;
  EXPECT_EQ(answer.variant, 0);
  EXPECT_EQ(answer.reason, SelectionReason::kFit);
  EXPECT_EQ(answer.tokens, 100);
  EXPECT_THAT(answer.outputs, SizeIs(2));
  EXPECT_NEAR(ToMillis(answer.predicted), 10, 0.01);
  EXPECT_NEAR(ToMillis(answer.compute), 10, 0.01);
  EXPECT_EQ(ToMillis(answer.budget), 100);
  const auto urgent = harness.Submit({.documents = 2, .tokens = 50, .budget_ms = 5});
  harness.RunAll();
  ASSERT_TRUE(urgent->result.ok());
  EXPECT_EQ(urgent->result->variant, 1);
}

TEST(Ranker, SortsBestFirstWithTiesInRequestOrder) {
  PipelineHarness harness(LargeAndSmall());
  const auto all = harness.Submit({.documents = 20, .tokens = 10});
  const auto best = harness.Submit({.documents = 20, .tokens = 10, .top_n = 3});
  harness.RunAll();
  ASSERT_TRUE(all->result.ok());
  const std::vector<float>& scores = all->result->outputs;
  std::vector<int32_t> expected(20);
  for (int i = 0; i < 20; ++i) expected[static_cast<size_t>(i)] = i;
  std::stable_sort(expected.begin(), expected.end(), [&](int32_t a, int32_t b) {
    return scores[static_cast<size_t>(a)] > scores[static_cast<size_t>(b)];
  });
  EXPECT_EQ(all->result->order, expected);
  ASSERT_TRUE(best->result.ok());
  EXPECT_THAT(best->result->order, ElementsAre(expected[0], expected[1], expected[2]));
  EXPECT_THAT(best->result->outputs, SizeIs(20));
}

// The logit of the score is highest where the others are higher still.
TEST(CompleteAnswer, SortsASoftmaxByTheScoreThatIsReturned) {
  ServedVariant variant;
  variant.task.activation = OutputActivation::kSoftmax;
  variant.task.score_index = 1;
  const auto order = [&](bool by_logit) {
    PendingRequest pending;
    pending.request.texts.resize(3);
    pending.request.order_by_logit = by_logit;
    pending.answer.num_outputs = 2;
    pending.answer.outputs = {9.0F, 3.0F, 0.0F, 2.0F, 1.0F, 1.0F};
    return CompleteAnswer(&pending, variant).order;
  };
  EXPECT_THAT(order(false), ElementsAre(1, 2, 0));
  EXPECT_THAT(order(true), ElementsAre(0, 1, 2));
}

// Every row is the score of its own tokens, whatever batches it was cut into.
TEST(Ranker, PutsEveryScoreInItsPlace) {
  PipelineHarness harness(LargeAndSmall());
  const auto split = harness.Submit({.documents = 40, .tokens = 30, .budget_ms = 10000});
  const auto other = harness.Submit({.documents = 5, .tokens = 20, .budget_ms = 10000});
  EXPECT_GT(harness.RunAll(), 4);
  for (const auto& call : {split, other}) {
    ASSERT_TRUE(call->result.ok());
    const Tokenizer& tokenizer = harness.ranker().tokenizer();
    for (size_t i = 0; i < call->documents.size(); ++i) {
      std::vector<int32_t> ids;
      std::vector<int32_t> types;
      tokenizer.AssemblePair(tokenizer.EncodeText(call->query),
                             tokenizer.EncodeText(call->documents[i]), 512, &ids, &types);
      EXPECT_EQ(call->result->outputs[i], FakeBackend::ScoreOf(ids)) << i;
    }
  }
}

TEST(Ranker, RunsASplitRequestWithOneVariant) {
  PipelineHarness harness(LargeAndSmall());
  const auto call = harness.Submit({.documents = 100, .tokens = 50, .budget_ms = 100});
  EXPECT_TRUE(harness.ranker().RunOne(0));
  EXPECT_EQ(call->answers, 0);
  // An urgent one passes at the next cut, and does not change what the first is bound to.
  const auto urgent = harness.Submit({.documents = 1, .tokens = 50, .budget_ms = 10});
  EXPECT_TRUE(harness.ranker().RunOne(0));
  EXPECT_EQ(urgent->answers, 1);
  EXPECT_EQ(call->answers, 0);
  harness.RunAll();
  ASSERT_TRUE(call->result.ok());
  EXPECT_EQ(call->result->variant, 1);
  int rows = 0;
  for (const FakeBackend::RunRecord& run : harness.backend().runs()) {
    if (run.rows > 1) {
      EXPECT_EQ(run.variant, 1);
    }
    EXPECT_LE(run.tokens, 4096);
    rows += run.rows;
  }
  EXPECT_EQ(rows, 101);
}

// Its first batch takes five times as long as predicted: the large variant cannot finish any more,
// the small one can, and scores every document anew.
TEST(Ranker, ALateRequestStartsAgainWithACheaperVariant) {
  PipelineHarness harness(LargeAndSmall());
  const auto call = harness.Submit({.documents = 40, .tokens = 50, .budget_ms = 400});
  harness.backend().set_slowdown(5);
  EXPECT_TRUE(harness.ranker().RunOne(0));
  EXPECT_EQ(harness.backend().runs().back().variant, 0);
  EXPECT_EQ(call->answers, 0);
  harness.backend().set_slowdown(1);
  harness.clock().Advance(std::chrono::milliseconds(180));
  harness.RunAll();
  ASSERT_TRUE(call->result.ok()) << call->result.status();
  EXPECT_EQ(call->result->variant, 1);
  EXPECT_EQ(call->result->reason, SelectionReason::kDegraded);
  int rows = 0;
  for (const FakeBackend::RunRecord& run : harness.backend().runs()) {
    if (run.variant == 1) rows += run.rows;
  }
  EXPECT_EQ(rows, 40);
}

TEST(Ranker, RequestsShareABatch) {
  PipelineHarness harness(LargeAndSmall());
  for (int i = 0; i < 5; ++i) harness.Submit({.documents = 1, .tokens = 20, .seed = i});
  EXPECT_EQ(harness.RunAll(), 1);
  EXPECT_EQ(harness.backend().runs()[0].rows, 5);
}

TEST(Ranker, EarliestDeadlineFirst) {
  PipelineHarness harness({{.id = "only", .quality = 0.9, .cost = {.per_token = 1e-5}}});
  harness.Submit({.documents = 1, .tokens = 300, .budget_ms = 900, .seed = 1});
  harness.Submit({.documents = 1, .tokens = 300, .budget_ms = 300, .seed = 2});
  harness.Submit({.documents = 1, .tokens = 300, .budget_ms = 600, .seed = 3});
  harness.RunAll();
  std::vector<int32_t> queries;
  for (const auto& run : harness.backend().runs()) queries.push_back(run.second_tokens[0]);
  constexpr int kFirstWord = 5;
  EXPECT_THAT(queries, ElementsAre(kFirstWord + 2, kFirstWord + 3, kFirstWord + 1));
}

TEST(Ranker, NoDocumentsIsAnEmptyAnswerAtOnce) {
  PipelineHarness harness(LargeAndSmall());
  const auto call = harness.Submit({.documents = 0});
  ASSERT_TRUE(call->result.ok());
  EXPECT_EQ(call->result->variant, -1);
  EXPECT_THAT(call->result->outputs, IsEmpty());
  EXPECT_EQ(harness.RunAll(), 0);
}

TEST(Ranker, PinIsServedEvenIfWorse) {
  PipelineHarness harness(LargeAndSmall());
  const auto call = harness.Submit({.variant = "small"});
  harness.RunAll();
  ASSERT_TRUE(call->result.ok());
  EXPECT_EQ(call->result->variant, 1);
  EXPECT_EQ(call->result->reason, SelectionReason::kPin);
}

TEST(Ranker, ScoreIndexPicksTheColumn) {
  PipelineHarness harness({{.id = "two",
                            .quality = 0.9,
                            .cost = {.per_token = 1e-5, .num_outputs = 2},
                            .task = TaskKind::kClassification,
                            .score_index = 1}});
  const auto call = harness.Submit({.documents = 10, .tokens = 10});
  harness.RunAll();
  ASSERT_TRUE(call->result.ok());
  const Answer& answer = *call->result;
  for (size_t i = 1; i < 10; ++i) {
    EXPECT_GE(answer.outputs[static_cast<size_t>(answer.order[i - 1]) * 2 + 1],
              answer.outputs[static_cast<size_t>(answer.order[i]) * 2 + 1]);
  }
}

TEST(Ranker, UnknownQualityOnlyByPinOrAlone) {
  std::vector<FakeVariant> variants = LargeAndSmall();
  variants[0].quality.reset();
  PipelineHarness harness(variants);
  const auto chosen = harness.Submit({});
  const auto pinned = harness.Submit({.variant = "large"});
  harness.RunAll();
  EXPECT_EQ(chosen->result->variant, 1);
  EXPECT_EQ(pinned->result->variant, 0);
  PipelineHarness alone({variants[0]});
  const auto only = alone.Submit({});
  alone.RunAll();
  EXPECT_EQ(only->result->reason, SelectionReason::kFit);
}

TEST(Ranker, FixedPolicy) {
  RankerOptions options = PipelineHarness::Options();
  options.policy = "fixed:small";
  PipelineHarness harness(LargeAndSmall(), options);
  const auto call = harness.Submit({.budget_ms = 10000});
  harness.RunAll();
  EXPECT_EQ(call->result->variant, 1);
  EXPECT_EQ(call->result->reason, SelectionReason::kFit);
}

TEST(Ranker, TruncatesToTheLongestInputAndSaysSo) {
  RankerOptions options = PipelineHarness::Options();
  options.limits.max_sequence_tokens = 64;
  PipelineHarness harness(LargeAndSmall(), options);
  const auto call = harness.Submit({.documents = 2, .tokens = 100});
  harness.RunAll();
  ASSERT_TRUE(call->result.ok());
  EXPECT_EQ(call->result->tokens, 128);
  EXPECT_THAT(call->result->truncated, ElementsAre(1, 1));
}

TEST(Ranker, AnEngineErrorIsAnsweredAndSurvived) {
  PipelineHarness harness(LargeAndSmall());
  harness.backend().FailNext(0, 1);
  const auto failed = harness.Submit({.documents = 100, .tokens = 50, .budget_ms = 10000});
  harness.RunAll();
  EXPECT_EQ(RefusalOf(*failed), Refusal::kEngine);
  EXPECT_THAT(harness.backend().runs(), SizeIs(1));
  const auto next = harness.Submit({});
  harness.RunAll();
  EXPECT_TRUE(next->result.ok());
  EXPECT_EQ(Value(harness, Metric::kEngineErrors, {0}), 1);
}

TEST(Ranker, ThreeFailuresQuarantineAVariant) {
  PipelineHarness harness(LargeAndSmall());
  harness.backend().FailNext(0, 3);
  for (int i = 0; i < 3; ++i) {
    const auto call = harness.Submit({});
    harness.RunAll();
    EXPECT_EQ(RefusalOf(*call), Refusal::kEngine);
  }
  const auto next = harness.Submit({});
  harness.RunAll();
  ASSERT_TRUE(next->result.ok());
  EXPECT_EQ(next->result->variant, 1);
  EXPECT_EQ(RefusalOf(*harness.Submit({.variant = "large"})), Refusal::kNotReady);
  EXPECT_EQ(
      Value(harness, Metric::kVariantState, {0, static_cast<int>(VariantCondition::kQuarantined)}),
      1);
}

// It rests for 10 s, and one more failure makes that 20 s; a success ends the matter.
TEST(Ranker, AQuarantinedVariantIsTriedAgainAfterARest) {
  PipelineHarness harness(LargeAndSmall());
  const auto run = [&] {
    const auto call = harness.Submit({});
    harness.RunAll();
    return call;
  };
  const auto is_ready = [&] {
    return harness.ranker().Report().available[0] &&
           Value(harness, Metric::kVariantState, {0, static_cast<int>(VariantCondition::kReady)}) ==
               1;
  };
  harness.backend().FailNext(0, 4);
  for (int i = 0; i < 3; ++i) run();
  harness.clock().Advance(std::chrono::milliseconds(9900));
  EXPECT_FALSE(is_ready());
  harness.clock().Advance(std::chrono::milliseconds(100));
  EXPECT_TRUE(is_ready());
  EXPECT_EQ(RefusalOf(*run()), Refusal::kEngine);  // the fourth failure
  harness.clock().Advance(std::chrono::milliseconds(19900));
  EXPECT_FALSE(is_ready());
  harness.clock().Advance(std::chrono::milliseconds(100));
  const auto call = run();
  ASSERT_TRUE(call->result.ok());
  EXPECT_EQ(call->result->variant, 0);
  // It starts from the beginning: a single failure is none that counts.
  harness.backend().FailNext(0, 1);
  run();
  EXPECT_TRUE(is_ready());
}

TEST(Ranker, AVariantThatFailsAtWarmUpIsLeftOut) {
  ManualClock clock;
  const std::vector<FakeVariant> variants = LargeAndSmall();
  Recorder recorder(MakeRecorderOptions(variants));
  auto backend = std::make_unique<FakeBackend>(
      std::vector<FakeCost>{variants[0].cost, variants[1].cost}, BatchLimits{}, &clock);
  FakeBackend* const fake = backend.get();
  fake->FailNext(0, 1);
  std::vector<std::unique_ptr<Backend>> backends;
  backends.push_back(std::move(backend));
  auto ranker = SteppedRanker::Create(PipelineHarness::Options(), MakeWordTokenizer(),
                                      MakeServed(variants), std::move(backends), &recorder, &clock);
  ASSERT_TRUE(ranker.ok());
  EXPECT_TRUE((*ranker)->WarmUp().ok());
  EXPECT_THAT((*ranker)->Report().available, ElementsAre(false, true));
  EXPECT_THAT((*ranker)->Report().on_ladder, ElementsAre(false, true));
  EXPECT_EQ((*ranker)->Explain({.lengths = {10}, .budget = std::chrono::seconds(1)}).variant, 1);
  // With none left there is nothing to serve.
  fake->FailNext(0, 1);
  fake->FailNext(1, 1);
  EXPECT_FALSE((*ranker)->WarmUp().ok());
  EXPECT_FALSE((*ranker)->Report().admitting);
}

// The selector believes what the recorder's shards hold, the numbers that Prometheus shows.
TEST(Ranker, WhatTheRecorderHasSeenChangesTheChoice) {
  PipelineHarness harness(LargeAndSmall());
  const CallOptions options{.documents = 1, .tokens = 100, .budget_ms = 15};
  const auto before = harness.Submit(options);
  harness.RunAll();
  EXPECT_EQ(before->result->variant, 0);
  for (int i = 0; i < 8; ++i) {
    harness.recorder().RecordBatch({.variant = 0,
                                    .pairs = 1,
                                    .tokens = 100,
                                    .engine_seconds = 0.02,
                                    .predicted_seconds = 0.02,
                                    .modeled_seconds = 0.01});
  }
  const auto after = harness.Submit(options);
  harness.RunAll();
  EXPECT_EQ(after->result->variant, 1);
  EXPECT_GT(harness.ranker().Report().costs[0].ratio, 1.5);
}

TEST(Ranker, ASlowHostIsNoticedWithinTwoWindows) {
  PipelineHarness harness({{.id = "only", .quality = 0.9, .cost = {.per_token = 1e-5}}});
  harness.backend().set_slowdown(5);
  for (int i = 0; i < 16; ++i) {
    harness.Submit({.documents = 1, .tokens = 100, .budget_ms = 10000});
    harness.RunAll();
  }
  EXPECT_GT(harness.ranker().Report().costs[0].ratio, 3);
}

TEST(Ranker, TwoWorkersShareALongRequest) {
  PipelineHarness harness(LargeAndSmall(), PipelineHarness::Options(), 2);
  const auto call = harness.Submit({.documents = 12, .tokens = 100, .budget_ms = 10000});
  EXPECT_TRUE(harness.ranker().RunOne(0));
  EXPECT_TRUE(harness.ranker().RunOne(1));
  harness.RunAll();
  ASSERT_TRUE(call->result.ok());
  EXPECT_THAT(harness.backend(0).runs(), SizeIs(3));
  EXPECT_THAT(harness.backend(1).runs(), SizeIs(1));
}

TEST(Ranker, ReportShowsDecisionsNewestFirst) {
  PipelineHarness harness(LargeAndSmall());
  for (int i = 0; i < 60; ++i) {
    harness.Submit({.budget_ms = 10000});
    harness.RunAll();
  }
  harness.Submit({.variant = "small"});
  harness.RunAll();
  const StatusReport report = harness.ranker().Report();
  EXPECT_TRUE(report.warm);
  EXPECT_TRUE(report.admitting);
  EXPECT_EQ(report.policy, "tailored");
  ASSERT_THAT(report.decisions, SizeIs(50));
  EXPECT_EQ(report.decisions[0].reason, SelectionReason::kPin);
  EXPECT_EQ(report.decisions[1].reason, SelectionReason::kFit);
  EXPECT_GT(report.decisions[0].actual, Duration::zero());
  EXPECT_THAT(report.on_ladder, ElementsAre(true, true));
  EXPECT_NEAR(report.costs[0].per_token, 1e-4, 1e-8);
}

TEST(Ranker, ExplainAgreesWithTheChoice) {
  PipelineHarness harness(LargeAndSmall());
  const auto explain = [&](double budget_ms, std::string pin = "", double min_quality = 0) {
    return harness.ranker().Explain({.lengths = {50, 50},
                                     .budget = FromSeconds(budget_ms * 1e-3),
                                     .variant = std::move(pin),
                                     .min_quality = min_quality});
  };
  const Explanation fits = explain(20);
  EXPECT_EQ(fits.variant, 0);
  EXPECT_EQ(fits.reason, "fit");
  EXPECT_NEAR(ToMillis(fits.predicted), 10, 0.01);
  ASSERT_THAT(fits.candidates, SizeIs(2));
  EXPECT_TRUE(fits.candidates[0].eligible);
  const Explanation tight = explain(5);
  EXPECT_EQ(tight.variant, 1);
  EXPECT_FALSE(tight.candidates[0].eligible);
  EXPECT_THAT(tight.candidates[0].why, HasSubstr("needs 10.0 ms"));
  const Explanation impossible = explain(0.5);
  EXPECT_EQ(impossible.variant, -1);
  EXPECT_THAT(impossible.reason, HasSubstr("BUDGET_INFEASIBLE"));
  EXPECT_NEAR(ToMillis(impossible.smallest_feasible_budget), 1, 0.01);
  EXPECT_EQ(explain(100, "small").reason, "pin");
  EXPECT_THAT(explain(100, "none").reason, HasSubstr("UNKNOWN_VARIANT"));
  EXPECT_THAT(explain(100, "", 0.99).reason, HasSubstr("QUALITY_INFEASIBLE"));
}

}  // namespace
}  // namespace tailor
