// SPDX-License-Identifier: Apache-2.0
// Cascades end to end on a fake engine and a clock that stands still.
#include "server/pipeline/cascade.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "server/pipeline/refusal.h"
#include "tests/testing/pipeline_harness.h"

namespace tailor {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr int kLarge = 0;
constexpr int kSmall = 1;

// 20 documents of 50 tokens take 100 ms or 10 ms; a document 5 ms or 0.5 ms.
std::vector<FakeVariant> LargeAndSmall() {
  return {{.id = "large", .quality = 0.9, .cost = {.per_token = 1e-4}},
          {.id = "small", .quality = 0.7, .cost = {.per_token = 1e-5}}};
}

CallOptions TwentyDocuments(double budget_ms) {
  return {.documents = 20, .tokens = 50, .budget_ms = budget_ms};
}

// The scale that both share is that of the large one; the small one's scores are half as large.
CascadeTable MakeTable() {
  return CascadeTable({{.scores = {-1000, 1000}, .values = {-1000, 1000}, .quality = 0.9},
                       {.scores = {-1000, 1000}, .values = {-2000, 2000}, .quality = 0.7}},
                      {{.first = kSmall, .second = kLarge, .shares = {0.5}, .qualities = {0.86}}});
}

RankerOptions WithCascades() {
  RankerOptions options = PipelineHarness::Options();
  options.cascade = std::make_shared<const CascadeTable>(MakeTable());
  return options;
}

struct CascadeTest : ::testing::Test {
  // Batches until all documents have a score.
  void RunFirstPass() {
    int rows = 0;
    while (rows < 20) {
      ASSERT_TRUE(harness.ranker().RunOne(0));
      rows += harness.backend().runs().back().rows;
    }
  }
  int RowsOf(int variant) {
    int rows = 0;
    for (const FakeBackend::RunRecord& run : harness.backend().runs()) {
      if (run.variant == variant) rows += run.rows;
    }
    return rows;
  }

  PipelineHarness harness{LargeAndSmall(), WithCascades()};
};

void ExpectSingle(const Call& call, int variant) {
  ASSERT_TRUE(call.result.ok()) << call.result.status();
  EXPECT_EQ(call.result->variant, variant);
  EXPECT_THAT(call.result->variants, IsEmpty());
}

// `twice` documents by the large one, which stand first; scores fall along the order.
void ExpectCascade(const Call& call, int twice) {
  ASSERT_TRUE(call.result.ok()) << call.result.status();
  const Answer& answer = *call.result;
  EXPECT_EQ(answer.reason, SelectionReason::kCascade);
  EXPECT_EQ(answer.variant, kLarge);
  ASSERT_THAT(answer.variants, SizeIs(20));
  EXPECT_EQ(std::count(answer.variants.begin(), answer.variants.end(), kLarge), twice);
  ASSERT_THAT(answer.order, SizeIs(20));
  for (size_t i = 0; i < 20; ++i) {
    const auto row = static_cast<size_t>(answer.order[i]);
    EXPECT_EQ(answer.variants[row], static_cast<int>(i) < twice ? kLarge : kSmall);
    if (i == 0) continue;
    EXPECT_LE(answer.outputs[row], answer.outputs[static_cast<size_t>(answer.order[i - 1])]);
  }
}

TEST_F(CascadeTest, TooLittleTimeForASecondPass) {
  // After 10 ms there would be time for one document.
  const auto call = harness.Submit(TwentyDocuments(16));
  harness.RunAll();
  ExpectSingle(*call, kSmall);
  EXPECT_EQ(call->result->reason, SelectionReason::kFit);
}

TEST_F(CascadeTest, TheBestDocumentsAreScoredTwice) {
  const TimePoint start = harness.clock().Now();
  const auto call = harness.Submit(TwentyDocuments(70));
  harness.RunAll();
  ExpectCascade(*call, 12);
  EXPECT_EQ(RowsOf(kSmall), 20);
  EXPECT_EQ(RowsOf(kLarge), 12);
  EXPECT_NEAR(ToMillis(call->answered - start), 70, 0.01);
  EXPECT_NEAR(ToMillis(call->result->predicted), 70, 0.01);
  EXPECT_NEAR(ToMillis(call->result->compute), 70, 0.01);
  EXPECT_NEAR(call->result->cascade_quality, 0.86 + 0.04 * 0.2, 1e-9);
  EXPECT_EQ(call->result->tokens, (20 + 12) * 50);
  const int indices[] = {kSmall, static_cast<int>(SelectionReason::kCascade)};
  EXPECT_EQ(harness.recorder().Value(Metric::kVariantSelected, indices), 1);
}

// What a document got is the calibrated score of its own tokens, unless a better one stands below.
TEST_F(CascadeTest, ScoresAreOnOneScale) {
  const auto call = harness.Submit(TwentyDocuments(70));
  harness.RunAll();
  ASSERT_TRUE(call->result.ok());
  const Answer& answer = *call->result;
  const Tokenizer& tokenizer = harness.ranker().tokenizer();
  float bound = 2000;
  for (const int32_t document : answer.order) {
    const auto row = static_cast<size_t>(document);
    std::vector<int32_t> ids;
    std::vector<int32_t> types;
    tokenizer.AssemblePair(tokenizer.EncodeText(call->query),
                           tokenizer.EncodeText(call->documents[row]), 512, &ids, &types);
    const float score = FakeBackend::ScoreOf(ids) * (answer.variants[row] == kLarge ? 1 : 2);
    bound = std::min(bound, score);
    EXPECT_FLOAT_EQ(answer.outputs[row], bound);
  }
}

TEST_F(CascadeTest, AFasterEngineThanPredictedScoresAllTwice) {
  harness.backend().set_slowdown(0.5);
  const auto call = harness.Submit(TwentyDocuments(70));
  harness.RunAll();
  ExpectCascade(*call, 20);
}

// An engine that became slower between the passes: the batch ends long after the deadline.
TEST_F(CascadeTest, ALateSecondPassDoesNotTakeTheAnswer) {
  const TimePoint start = harness.clock().Now();
  const auto call = harness.Submit(TwentyDocuments(70));
  RunFirstPass();
  harness.backend().set_slowdown(20);
  harness.backend().set_on_run([&] {
    EXPECT_EQ(harness.ranker().AnswerDue(), 0);
    harness.clock().Advance(start + std::chrono::milliseconds(70) - harness.clock().Now());
    EXPECT_EQ(harness.ranker().AnswerDue(), 1);
  });
  EXPECT_TRUE(harness.ranker().RunOne(0));
  harness.backend().set_on_run(nullptr);
  EXPECT_FALSE(harness.ranker().RunOne(0));
  EXPECT_EQ(harness.ranker().AnswerDue(), 0);
  EXPECT_EQ(call->answers, 1);
  EXPECT_NEAR(ToMillis(call->answered - start), 70, 0.01);
  ExpectSingle(*call, kSmall);
  EXPECT_EQ(call->result->reason, SelectionReason::kDegraded);
}

TEST_F(CascadeTest, ALateBatchKeepsWhatWasScoredTwiceBefore) {
  const TimePoint deadline = harness.clock().Now() + std::chrono::milliseconds(70);
  const auto call = harness.Submit(TwentyDocuments(70));
  RunFirstPass();
  EXPECT_TRUE(harness.ranker().RunOne(0));
  const int twice = RowsOf(kLarge);
  EXPECT_GT(twice, 1);
  harness.backend().set_on_run([&] {
    harness.clock().Advance(deadline - harness.clock().Now());
    EXPECT_EQ(harness.ranker().AnswerDue(), 1);
  });
  EXPECT_TRUE(harness.ranker().RunOne(0));
  EXPECT_EQ(call->answers, 1);
  ExpectCascade(*call, twice);
}

// The batch of somebody else's first pass, which took longer than predicted.
TEST_F(CascadeTest, WhatWaitsForItsSecondPassIsAnsweredInTimeToo) {
  const TimePoint deadline = harness.clock().Now() + std::chrono::milliseconds(70);
  const auto call = harness.Submit(TwentyDocuments(70));
  RunFirstPass();
  const auto other = harness.Submit({.documents = 4, .tokens = 50, .budget_ms = 1000});
  harness.backend().set_on_run([&] {
    harness.clock().Advance(deadline - harness.clock().Now());
    EXPECT_EQ(harness.ranker().AnswerDue(), 1);
  });
  EXPECT_TRUE(harness.ranker().RunOne(0));
  ExpectSingle(*call, kSmall);
  EXPECT_EQ(other->answers, 1);
}

TEST(Cascade, AnswersAReplyMarginBeforeTheDeadline) {
  RankerOptions options = WithCascades();
  options.reply_margin = std::chrono::milliseconds(5);
  PipelineHarness harness(LargeAndSmall(), options);
  const TimePoint due = harness.clock().Now() + std::chrono::milliseconds(70);
  const auto call = harness.Submit(TwentyDocuments(75));
  while (harness.backend().runs().empty() || harness.backend().runs().back().variant != kLarge) {
    ASSERT_TRUE(harness.ranker().RunOne(0));
  }
  harness.clock().Advance(due - harness.clock().Now() - std::chrono::microseconds(1));
  EXPECT_EQ(harness.ranker().AnswerDue(), 0);
  harness.clock().Advance(std::chrono::microseconds(1));
  EXPECT_EQ(harness.ranker().AnswerDue(), 1);
  EXPECT_TRUE(call->result.ok());
}

TEST_F(CascadeTest, EnoughTimeForTheBestAloneNeedsNone) {
  const auto call = harness.Submit(TwentyDocuments(112));
  harness.RunAll();
  ExpectSingle(*call, kLarge);
}

TEST_F(CascadeTest, ExplainSaysBothVariants) {
  const auto explain = [&](double budget_ms, const std::string& pin = "") {
    return harness.ranker().Explain({.lengths = std::vector<int>(20, 50),
                                     .budget = FromSeconds(budget_ms * 1e-3),
                                     .variant = pin,
                                     .min_quality = 0});
  };
  const Explanation cascade = explain(70);
  EXPECT_EQ(cascade.variant, kSmall);
  EXPECT_EQ(cascade.second, kLarge);
  EXPECT_EQ(cascade.reason, "cascade");
  EXPECT_NEAR(ToMillis(cascade.predicted), 70, 0.01);
  EXPECT_EQ(explain(112).variant, kLarge);
  EXPECT_EQ(explain(112).second, -1);
  EXPECT_EQ(explain(70, "small").second, -1);
  harness.Submit(TwentyDocuments(1000));
  EXPECT_EQ(explain(70).second, -1) << "somebody waits";
}

TEST_F(CascadeTest, APinSwitchesItOff) {
  CallOptions options = TwentyDocuments(70);
  options.variant = "small";
  const auto call = harness.Submit(options);
  harness.RunAll();
  ExpectSingle(*call, kSmall);
  EXPECT_EQ(call->result->reason, SelectionReason::kPin);
}

TEST_F(CascadeTest, TheCallerSwitchesItOff) {
  CallOptions options = TwentyDocuments(70);
  options.may_cascade = false;
  const auto call = harness.Submit(options);
  harness.RunAll();
  ExpectSingle(*call, kSmall);
}

TEST_F(CascadeTest, OnlyForRank) {
  CallOptions options = TwentyDocuments(70);
  options.kind = RequestKind::kScore;
  const auto call = harness.Submit(options);
  harness.RunAll();
  ExpectSingle(*call, kSmall);
}

// The small one may not be the last word on any document.
TEST_F(CascadeTest, AMinimumQualityExcludesCheaperVariants) {
  CallOptions options = TwentyDocuments(70);
  options.min_quality = 0.8;
  const auto refused = harness.Submit(options);
  EXPECT_EQ(GetRefusal(refused->result.status()).refusal, Refusal::kQualityInfeasible);
  options.budget_ms = 112;
  const auto call = harness.Submit(options);
  harness.RunAll();
  ExpectSingle(*call, kLarge);
  EXPECT_EQ(RowsOf(kSmall), 0);
}

TEST_F(CascadeTest, CancelBetweenThePasses) {
  const auto call = harness.Submit(TwentyDocuments(70));
  RunFirstPass();
  EXPECT_EQ(call->answers, 0);
  call->ticket->Cancel();
  EXPECT_EQ(call->answers, 1);
  harness.RunAll();
  EXPECT_EQ(call->answers, 1);
  EXPECT_EQ(GetRefusal(call->result.status()).refusal, Refusal::kCancelled);
  EXPECT_EQ(RowsOf(kLarge), 0);
}

TEST_F(CascadeTest, CancelWithinTheSecondPass) {
  const auto call = harness.Submit(TwentyDocuments(70));
  RunFirstPass();
  harness.backend().set_on_run([&] { call->ticket->Cancel(); });
  EXPECT_TRUE(harness.ranker().RunOne(0));
  EXPECT_FALSE(harness.ranker().RunOne(0));
  EXPECT_EQ(call->answers, 1);
  EXPECT_EQ(GetRefusal(call->result.status()).refusal, Refusal::kCancelled);
}

TEST_F(CascadeTest, AFailureInTheSecondPassStillAnswers) {
  const auto call = harness.Submit(TwentyDocuments(70));
  RunFirstPass();
  harness.backend().FailNext(kLarge, 1);
  harness.RunAll();
  ExpectSingle(*call, kSmall);
  EXPECT_EQ(call->result->reason, SelectionReason::kDegraded);
}

TEST_F(CascadeTest, AFailureKeepsWhatWasScoredTwiceBefore) {
  const auto call = harness.Submit(TwentyDocuments(70));
  RunFirstPass();
  EXPECT_TRUE(harness.ranker().RunOne(0));
  const int twice = RowsOf(kLarge);
  EXPECT_GT(twice, 1);
  EXPECT_LT(twice, 12);
  harness.backend().FailNext(kLarge, 1);
  harness.RunAll();
  ExpectCascade(*call, twice);
}

TEST_F(CascadeTest, AFailureInTheFirstPassIsAnError) {
  const auto call = harness.Submit(TwentyDocuments(70));
  harness.backend().FailNext(kSmall, 1);
  harness.RunAll();
  EXPECT_EQ(GetRefusal(call->result.status()).refusal, Refusal::kEngine);
}

// Whoever has no score yet goes first; the second pass takes what time is left.
TEST_F(CascadeTest, FirstPassesOfOthersGoFirst) {
  const auto call = harness.Submit(TwentyDocuments(70));
  RunFirstPass();
  const auto other = harness.Submit({.documents = 4, .tokens = 50, .budget_ms = 1000});
  EXPECT_TRUE(harness.ranker().RunOne(0));
  EXPECT_EQ(call->answers, 0);
  EXPECT_EQ(other->answers, 1);
  harness.RunAll();
  ExpectCascade(*call, 12 - 4);
}

// An answer that could not be improved after the next batch does not wait for it.
TEST_F(CascadeTest, AnswersBeforeABatchThatTakesItsTime) {
  const auto call = harness.Submit(TwentyDocuments(70));
  RunFirstPass();
  harness.clock().Advance(std::chrono::milliseconds(35));
  const auto other = harness.Submit({.documents = 4, .tokens = 50, .budget_ms = 1000});
  int answers_at_start = -1;
  harness.backend().set_on_run([&] { answers_at_start = call->answers; });
  EXPECT_TRUE(harness.ranker().RunOne(0));
  EXPECT_EQ(answers_at_start, 1);
  ExpectSingle(*call, kSmall);
  EXPECT_EQ(call->result->reason, SelectionReason::kDegraded);
  EXPECT_EQ(other->answers, 1);
}

TEST_F(CascadeTest, NoneUnderLoad) {
  const auto first = harness.Submit(TwentyDocuments(200));
  const auto second = harness.Submit(TwentyDocuments(70));
  harness.RunAll();
  ExpectSingle(*second, kSmall);
  EXPECT_EQ(first->answers, 1);
}

// Somebody is likely to come while a batch of a second pass runs, and would have to wait for it.
TEST_F(CascadeTest, NoneWhenRequestsComeOften) {
  for (int i = 0; i < 100; ++i) {
    harness.Submit({.documents = 1, .tokens = 50});
    harness.RunAll();
    harness.clock().Advance(std::chrono::milliseconds(1));
  }
  const auto call = harness.Submit(TwentyDocuments(70));
  harness.RunAll();
  ExpectSingle(*call, kSmall);
}

TEST_F(CascadeTest, AStoppedPipelineAnswersWhatIsBetweenThePasses) {
  const auto call = harness.Submit(TwentyDocuments(70));
  RunFirstPass();
  harness.Destroy();
  EXPECT_EQ(call->answers, 1);
  EXPECT_EQ(GetRefusal(call->result.status()).refusal, Refusal::kNotReady);
}

TEST(Cascade, OnlyWithThePolicyThatHasIt) {
  RankerOptions options = WithCascades();
  options.policy = "fixed:small";
  PipelineHarness harness(LargeAndSmall(), options);
  const auto call = harness.Submit(TwentyDocuments(70));
  harness.RunAll();
  ExpectSingle(*call, kSmall);
}

TEST(CascadeTable, ChoosesByTheTimeLeft) {
  const CascadeTable table = MakeTable();
  const std::vector<VariantState> variants = {{.cost = {.per_token = 1e-4}},
                                              {.cost = {.per_token = 1e-5}}};
  const WorkShape work{.rows = 20, .tokens = 1000, .squares = 50000};
  const auto choose = [&](double seconds, const VariantSet& admissible, double most_seconds = 1) {
    return table.Choose(kSmall, admissible, work, seconds, most_seconds, variants, BatchLimits{},
                        1);
  };
  EXPECT_FALSE(choose(0.0199, AllVariants()));
  // Two documents: 0.7 + 0.16 * 0.2
  const auto two = choose(0.0201, AllVariants());
  ASSERT_TRUE(two);
  EXPECT_NEAR(two->quality, 0.732, 1e-9);
  EXPECT_NEAR(two->seconds, 0.02, 1e-9);
  EXPECT_NEAR(choose(0.0601, AllVariants())->quality, 0.86, 1e-9);
  EXPECT_FALSE(choose(0.0601, OneVariant(kSmall)));
  EXPECT_FALSE(choose(0.0601, AllVariants(), 0.0049));
  EXPECT_TRUE(choose(0.0601, AllVariants(), 0.0051));
}

TEST(CascadeTable, AVariantOutsideTheTableCountsWithItsOwnQuality) {
  const CascadeTable table({{.scores = {0, 1}, .values = {0, 1}, .quality = 0.9},
                            {.scores = {0, 1}, .values = {0, 1}, .quality = 0.7},
                            {}},
                           {{.first = 1, .second = 0, .shares = {0.5}, .qualities = {0.86}}});
  std::vector<VariantState> variants(3);
  const WorkShape work{.rows = 20, .tokens = 1000, .squares = 50000};
  const auto choose = [&] {
    return table.Choose(2, AllVariants(), work, 1, 1, variants, BatchLimits{}, 1);
  };
  EXPECT_FALSE(choose()) << "its quality is not known";
  variants[2].quality = 0.8;
  EXPECT_TRUE(choose());
  variants[2].quality = 0.899;
  EXPECT_FALSE(choose());
}

TEST(CascadeTable, MapsAreLinearBetweenKnotsAndFlatBeyond) {
  const CascadeTable table({{.scores = {0, 1, 3}, .values = {0, 5, 6}, .quality = 0.5}}, {});
  EXPECT_EQ(table.Calibrated(0, -1), 0);
  EXPECT_FLOAT_EQ(table.Calibrated(0, 0.5), 2.5);
  EXPECT_FLOAT_EQ(table.Calibrated(0, 2), 5.5);
  EXPECT_EQ(table.Calibrated(0, 9), 6);
}

}  // namespace
}  // namespace tailor
