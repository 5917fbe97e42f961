// SPDX-License-Identifier: Apache-2.0
// A cap that falls while the server runs: no later batch is above it, and everybody is answered.
#include "server/pipeline/current_limits.h"

#include <memory>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "server/pipeline/cascade.h"
#include "server/pipeline/refusal.h"
#include "tests/testing/pipeline_harness.h"

namespace tailor {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Le;

constexpr int kTokens = 240;  // of a batch, as planned; too few for a batch to be full before
constexpr int kCap = 100;     // once memory has run out
constexpr int kLongest = 50;

TEST(CurrentLimits, FallOnlyAndNotBelowTheLongestSequence) {
  CurrentLimits limits(
      {.max_tokens = kTokens, .max_sequences = 8, .max_sequence_tokens = kLongest});
  const CurrentLimits copy = limits;
  EXPECT_FALSE(limits.LowerMaxTokens(kTokens));
  EXPECT_TRUE(limits.LowerMaxTokens(kCap));
  EXPECT_FALSE(limits.LowerMaxTokens(kCap + 1));
  EXPECT_EQ(copy.Get().max_tokens, kCap);
  EXPECT_TRUE(limits.LowerMaxTokens(1));
  EXPECT_FALSE(limits.LowerMaxTokens(1));
  EXPECT_EQ(copy.Get().max_tokens, kLongest);
  EXPECT_EQ(copy.Get().max_sequences, 8);
}

std::vector<FakeVariant> Family() {
  return {{.id = "large", .quality = 0.9, .cost = {.per_token = 1e-4}},
          {.id = "small", .quality = 0.7, .cost = {.per_token = 1e-5}}};
}

RankerOptions Options() {
  RankerOptions options = PipelineHarness::Options();
  options.limits = {.max_tokens = kTokens, .max_sequences = 100, .max_sequence_tokens = kLongest};
  return options;
}

std::vector<int> TokensOfRuns(const FakeBackend& backend) {
  std::vector<int> tokens;
  for (const FakeBackend::RunRecord& run : backend.runs()) tokens.push_back(run.tokens);
  return tokens;
}

// As many tokens as a batch could hold at first, or several times as many.
CallOptions Batches(int count) { return {.documents = 12 * count, .tokens = 20}; }

void ExpectAnswered(const Call& call) {
  EXPECT_EQ(call.answers, 1);
  ASSERT_TRUE(call.result.ok()) << call.result.status();
  EXPECT_EQ(call.result->order.size(), call.documents.size());
}

TEST(CapThatFalls, IsThatOfEveryLaterBatch) {
  PipelineHarness harness(Family(), Options());
  const auto before = harness.Submit(Batches(1));
  harness.backend().LowerMaxTokens(kCap);
  harness.RunAll();
  EXPECT_THAT(TokensOfRuns(harness.backend()), ElementsAre(kTokens));
  EXPECT_EQ(harness.recorder().Value(Metric::kMaxBatchTokens, {}), kCap);
  const auto after = harness.Submit(Batches(3));
  const auto two = harness.Submit(Batches(1));
  harness.backend().ClearRuns();
  harness.RunAll();
  EXPECT_THAT(TokensOfRuns(harness.backend()), Each(Le(kCap)));
  ExpectAnswered(*before);
  ExpectAnswered(*after);
  ExpectAnswered(*two);
}

TEST(CapThatFalls, InTheMiddleOfARequest) {
  PipelineHarness harness(Family(), Options());
  const auto call = harness.Submit(Batches(3));
  harness.backend().LowerMaxTokens(kCap);
  harness.RunAll();
  EXPECT_THAT(TokensOfRuns(harness.backend()), ElementsAre(kTokens, kCap, kCap, kCap, kCap, 80));
  ExpectAnswered(*call);
}

TEST(CapThatFalls, CountsAfterABatchThatFailedToo) {
  PipelineHarness harness(Family(), Options());
  const auto failed = harness.Submit(Batches(1));
  harness.backend().LowerMaxTokens(kCap);
  harness.backend().FailNext(0, 1);
  harness.RunAll();
  EXPECT_EQ(GetRefusal(failed->result.status()).refusal, Refusal::kEngine);
  const auto call = harness.Submit(Batches(1));
  harness.RunAll();
  EXPECT_THAT(TokensOfRuns(harness.backend()), ElementsAre(kTokens, kCap, kCap, 40));
  ExpectAnswered(*call);
}

TEST(CapThatFalls, IsThatOfAllWorkers) {
  PipelineHarness harness(Family(), Options(), 2);
  const auto first = harness.Submit(Batches(1));
  harness.backend(0).LowerMaxTokens(kCap);
  ASSERT_TRUE(harness.ranker().RunOne(0));
  const auto second = harness.Submit(Batches(1));
  ASSERT_TRUE(harness.ranker().RunOne(1));
  EXPECT_THAT(TokensOfRuns(harness.backend(1)), ElementsAre(kCap));
  harness.RunAll();
  ExpectAnswered(*first);
  ExpectAnswered(*second);
}

TEST(CapThatFalls, BoundsSecondPasses) {
  RankerOptions options = Options();
  options.cascade = std::make_shared<const CascadeTable>(
      std::vector<Calibration>{{.scores = {0, 1}, .values = {0, 1}, .quality = 0.9},
                               {.scores = {0, 1}, .values = {0, 1}, .quality = 0.7}},
      std::vector<CascadePair>{{.first = 1, .second = 0, .shares = {0.5}, .qualities = {0.86}}});
  PipelineHarness harness(Family(), options);
  // Too little time for all by the large variant, and enough for more of them than fit.
  const auto call = harness.Submit({.documents = 12, .tokens = 20, .budget_ms = 22});
  harness.backend().LowerMaxTokens(kLongest);
  harness.RunAll();
  ExpectAnswered(*call);
  EXPECT_EQ(call->result->reason, SelectionReason::kCascade);
  const std::vector<int> tokens = TokensOfRuns(harness.backend());
  ASSERT_GE(tokens.size(), 3u);
  EXPECT_EQ(tokens[0], kTokens);
  EXPECT_THAT(std::vector<int>(tokens.begin() + 1, tokens.end()), Each(Le(kLongest)));
}

// In whichever run of the warm-up memory runs out, every variant gets through it.
TEST(CapThatFalls, LeavesNoVariantBehindAtWarmUp) {
  int runs = 0;
  for (int falls_in = 1; falls_in == 1 || falls_in <= runs; ++falls_in) {
    ManualClock clock;
    Recorder recorder(MakeRecorderOptions(Family()));
    RankerOptions options = Options();
    options.limits.max_tokens = 4096;
    auto backend = std::make_unique<FakeBackend>(
        std::vector<FakeCost>{Family()[0].cost, Family()[1].cost}, options.limits, &clock);
    runs = 0;
    backend->set_on_run([&, fake = backend.get()] {
      if (++runs == falls_in) fake->LowerMaxTokens(kLongest);
    });
    std::vector<std::unique_ptr<Backend>> backends;
    backends.push_back(std::move(backend));
    const auto ranker = SteppedRanker::Create(options, MakeWordTokenizer(), MakeServed(Family()),
                                              std::move(backends), &recorder, &clock);
    ASSERT_TRUE(ranker.ok()) << ranker.status();
    EXPECT_TRUE((*ranker)->WarmUp().ok()) << falls_in;
    EXPECT_THAT((*ranker)->Report().available, Each(true)) << falls_in;
    EXPECT_EQ(recorder.Value(Metric::kMaxBatchTokens, {}), kLongest) << falls_in;
  }
}

}  // namespace
}  // namespace tailor
