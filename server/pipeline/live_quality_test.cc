// SPDX-License-Identifier: Apache-2.0
// Reviews on a fake engine and a clock that stands still: what they learn, and what they cost.
#include "server/pipeline/live_quality.h"

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "server/pipeline/batch_queue.h"
#include "server/pipeline/cascade.h"
#include "server/pipeline/rank_order.h"
#include "server/pipeline/variant_table.h"
#include "tests/testing/pipeline_harness.h"

namespace tailor {
namespace {

constexpr int kBest = 0;
constexpr int kQuick = 1;
constexpr int kOther = 2;

// 10 documents of 25 tokens, one batch, take 50 ms by the best variant, 5 ms by the others: one 5
// ms or 0.5 ms. "quick" gives the opposite of the best one's order.
std::vector<FakeVariant> Family() {
  return {{.id = "best", .quality = 0.9, .cost = {.per_token = 2e-4}},
          {.id = "quick", .quality = 0.8, .cost = {.per_token = 2e-5, .score_sign = -1}},
          {.id = "other", .quality = 0.79, .cost = {.per_token = 2e-5}}};
}

// Too little time for the best variant, and a fifth of it is a document's.
const CallOptions kTenDocuments = {.documents = 10, .tokens = 25, .budget_ms = 30};

RankerOptions WithReviews(double share = 1) {
  RankerOptions options = PipelineHarness::Options();
  options.live_quality = {
      .share = share,
      .expected = {.reference = kBest,
                   .reference_quality = 0.9,
                   .variants = {ExpectedAgreement{.kendall_tau = 1, .quality = 0.9},
                                ExpectedAgreement{.kendall_tau = 0.6, .quality = 0.8},
                                ExpectedAgreement{.kendall_tau = 0.6, .quality = 0.79}}}};
  return options;
}

double Reviews(PipelineHarness* harness, int variant) {
  return harness->recorder().Reviews(variant, kBest).reviews;
}

int RowsOfBest(PipelineHarness* harness) {
  int rows = 0;
  for (const FakeBackend::RunRecord& run : harness->backend().runs()) {
    if (run.variant == kBest) rows += run.rows;
  }
  return rows;
}

struct LiveQualityTest : ::testing::Test {
  // One answer, and all reviews that come of it.
  std::shared_ptr<Call> Answer(const CallOptions& options = kTenDocuments) {
    auto call = harness.Submit(options);
    harness.RunAll();
    EXPECT_TRUE(call->result.ok()) << call->result.status();
    return call;
  }
  int Chosen() {
    harness.clock().Advance(VariantTable::kQualityPeriod);
    return Answer()->result->variant;
  }

  PipelineHarness harness{Family(), WithReviews()};
};

TEST_F(LiveQualityTest, TheShardsHoldWhatAReviewFinds) {
  const TimePoint start = harness.clock().Now();
  const auto call = Answer();
  EXPECT_EQ(call->result->variant, kQuick);
  EXPECT_NEAR(ToMillis(call->answered - start), 5, 1e-6);
  EXPECT_EQ(RowsOfBest(&harness), 10);
  const int pair[] = {kQuick, kBest};
  const auto sum = [&](int measure) {
    const int indices[] = {kQuick, kBest, measure};
    return harness.recorder().Value(Metric::kReviewAgreement, indices);
  };
  EXPECT_EQ(harness.recorder().Value(Metric::kReviews, pair), 1);
  EXPECT_EQ(sum(0), 0);  // top 1
  EXPECT_EQ(sum(1), 1);  // all ten of ten
  EXPECT_EQ(sum(2), 0);  // every pair in the opposite order
  Answer({.documents = 10, .tokens = 25, .budget_ms = 30, .variant = "other", .top_n = 3});
  EXPECT_EQ(harness.recorder().Reviews(kOther, kBest).reviews, 1);
  EXPECT_EQ(harness.recorder().Reviews(kOther, kBest).concordance, 1);
}

// It is not a request: no selection, no decision.
TEST_F(LiveQualityTest, AReviewIsNoRequest) {
  Answer();
  const int best[] = {kBest, static_cast<int>(SelectionReason::kFit)};
  EXPECT_EQ(harness.recorder().Value(Metric::kVariantSelected, best), 0);
  EXPECT_EQ(harness.ranker().Report().decisions.size(), 1U);
  // Nor news of how long batches with deadlines take, but work all the same.
  EXPECT_EQ(harness.recorder().Totals(kBest).batches, 0);
  const int best_pairs[] = {kBest};
  EXPECT_EQ(harness.recorder().Value(Metric::kPairs, best_pairs), 10);
}

TEST_F(LiveQualityTest, TheBestNeedsNoReview) {
  EXPECT_EQ(Answer({.documents = 10, .tokens = 25, .budget_ms = 100})->result->variant, kBest);
  EXPECT_EQ(RowsOfBest(&harness), 10);
  EXPECT_FALSE(harness.ranker().RunOne(0));
}

TEST_F(LiveQualityTest, OnlyOrdersAreReviewed) {
  Answer({.kind = RequestKind::kScore, .documents = 10, .tokens = 25, .budget_ms = 30});
  Answer({.documents = 1, .tokens = 25, .budget_ms = 4});
  EXPECT_EQ(RowsOfBest(&harness), 0);
}

TEST_F(LiveQualityTest, IsOffWithoutAShare) {
  PipelineHarness off(Family(), WithReviews(0));
  for (int i = 0; i < 100; ++i) {
    const auto call = off.Submit(kTenDocuments);
    off.RunAll();
    off.clock().Advance(std::chrono::seconds(1));
    EXPECT_EQ(call->result->variant, kQuick);
  }
  EXPECT_EQ(RowsOfBest(&off), 0);
  EXPECT_EQ(Reviews(&off, kQuick), 0);
  // What the shards hold moves nothing either.
  for (int i = 0; i < 500; ++i) {
    off.recorder().RecordReview({.variant = kQuick, .best = kBest, .kendall_tau = -1});
  }
  off.clock().Advance(VariantTable::kQualityPeriod);
  const auto call = off.Submit(kTenDocuments);
  off.RunAll();
  EXPECT_EQ(call->result->variant, kQuick);
}

// "quick" is served for its .8 until 50 reviews have shown that its orders are upside down: it
// loses .02 and "other" with .79 is the better one.
TEST_F(LiveQualityTest, EnoughReviewsMoveTheChoice) {
  for (int i = 0; i < 49; ++i) {
    ASSERT_EQ(Chosen(), kQuick) << "after " << i << " reviews";
  }
  EXPECT_EQ(Reviews(&harness, kQuick), 49);
  EXPECT_EQ(Chosen(), kQuick);
  EXPECT_EQ(Reviews(&harness, kQuick), 50);
  EXPECT_EQ(Chosen(), kOther);
  const int quick[] = {kQuick};
  EXPECT_NEAR(harness.recorder().Value(Metric::kVariantQuality, quick), 0.78, 1e-9);
  // What callers ask for and are told is what was evaluated.
  const auto call =
      harness.Submit({.documents = 10, .tokens = 25, .budget_ms = 30, .min_quality = 0.795});
  harness.RunAll();
  ASSERT_TRUE(call->result.ok()) << call->result.status();
  EXPECT_EQ(call->result->variant, kQuick);
}

// Only the shards are told of reviews.
TEST_F(LiveQualityTest, TheShardsAreTheSource) {
  ASSERT_EQ(Chosen(), kQuick);
  for (int i = 0; i < 60; ++i) {
    harness.recorder().RecordReview({.variant = kQuick, .best = kBest, .kendall_tau = -1});
  }
  EXPECT_EQ(Chosen(), kOther);
}

// The first variant's order is its own; the answer's is that of both.
TEST(LiveQuality, OfACascadeTheFirstPassIsReviewed) {
  RankerOptions options = WithReviews();
  const auto identity = [](double quality) {
    return Calibration{.scores = {-1e6, 1e6}, .values = {-1e6, 1e6}, .quality = quality};
  };
  options.cascade = std::make_shared<const CascadeTable>(
      std::vector<Calibration>{identity(0.9), identity(0.8), identity(0.79)},
      std::vector<CascadePair>{
          {.first = kQuick, .second = kBest, .shares = {0.5}, .qualities = {0.88}}});
  PipelineHarness harness(Family(), options);
  const auto call = harness.Submit({.documents = 10, .tokens = 25, .budget_ms = 40});
  harness.RunAll();
  ASSERT_TRUE(call->result.ok());
  ASSERT_EQ(call->result->reason, SelectionReason::kCascade);
  EXPECT_EQ(harness.recorder().Reviews(kQuick, kBest).reviews, 1);
  EXPECT_EQ(harness.recorder().Reviews(kQuick, kBest).concordance, 0);
}

TEST_F(LiveQualityTest, AFailureEndsAReviewAndNothingElse) {
  harness.backend().FailNext(kBest, 1);
  Answer();
  EXPECT_EQ(RowsOfBest(&harness), 1);
  EXPECT_EQ(Reviews(&harness, kQuick), 0);
  Answer();
  EXPECT_EQ(Reviews(&harness, kQuick), 1);
}

// 10 ms between requests leave no room for a document of 5 ms; 50 ms of silence do.
TEST_F(LiveQualityTest, ReviewsWaitForAGap) {
  for (int i = 0; i < 100; ++i) {
    harness.Submit(kTenDocuments);
    ASSERT_TRUE(harness.ranker().RunOne(0));
    harness.clock().Advance(std::chrono::milliseconds(5));
  }
  harness.backend().ClearRuns();
  EXPECT_FALSE(harness.ranker().RunOne(0));
  // The last request came 10 ms ago.
  ASSERT_TRUE(harness.ranker().IdleUntil().has_value());
  const Duration left = *harness.ranker().IdleUntil() - harness.clock().Now();
  EXPECT_NEAR(ToMillis(left), 40, 0.01);
  harness.clock().Advance(left);
  EXPECT_TRUE(harness.ranker().RunOne(0));
  EXPECT_EQ(RowsOfBest(&harness), 1);
}

// A fifth of 20 ms is less than a document takes: it will never run.
TEST_F(LiveQualityTest, ReviewsNeverTakeMuchOfABudget) {
  Answer({.documents = 10, .tokens = 25, .budget_ms = 20});
  EXPECT_EQ(RowsOfBest(&harness), 0);
  EXPECT_EQ(harness.ranker().IdleUntil(), std::nullopt);
  // Short budgets are forgotten when they are no longer seen.
  for (int i = 0; i < 64; ++i) Answer({.documents = 10, .tokens = 25, .budget_ms = 45});
  EXPECT_GT(RowsOfBest(&harness), 0);
}

// The same traffic with and without reviews, each request alone with the engine. Nobody waits
// longer than the batch that was under way: a fifth of the shortest budget, a tenth of the gap.
TEST(LiveQuality, NobodyWaitsForMoreThanOneSmallBatch) {
  constexpr int kRequests = 400;
  struct Arrival {
    Duration at{};
    CallOptions options;
  };
  std::mt19937_64 random(7);
  const auto uniform = [&random](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
  };
  std::vector<Arrival> arrivals;
  Duration at = std::chrono::seconds(1);
  for (int i = 0; i < kRequests; ++i) {
    at += std::chrono::microseconds(uniform(20'000, 200'000));
    arrivals.push_back({at,
                        {.documents = uniform(2, 10),
                         .tokens = uniform(5, 25),
                         .budget_ms = 30 + 10.0 * uniform(0, 3),
                         .variant = "quick",
                         .seed = i}});
  }
  const auto latencies_of = [&](double share, double* reviews) {
    PipelineHarness harness(Family(), WithReviews(share));
    const TimePoint start = harness.clock().Now();
    std::vector<std::shared_ptr<Call>> calls;
    size_t next = 0;
    while (next < arrivals.size()) {
      // What came while a batch ran is submitted after it, with its age.
      const TimePoint due = start + arrivals[next].at;
      if (due <= harness.clock().Now()) {
        CallOptions options = arrivals[next++].options;
        options.age_ms = ToMillis(harness.clock().Now() - due);
        calls.push_back(harness.Submit(options));
      } else if (!harness.ranker().RunOne(0)) {
        const TimePoint wake = std::min(due, harness.ranker().IdleUntil().value_or(due));
        harness.clock().Advance(
            std::max<Duration>(wake - harness.clock().Now(), std::chrono::microseconds(1)));
      }
    }
    harness.RunAll();
    *reviews = harness.recorder().Reviews(kQuick, kBest).reviews;
    std::vector<double> latencies;
    for (size_t i = 0; i < calls.size(); ++i) {
      EXPECT_TRUE(calls[i]->result.ok()) << calls[i]->result.status();
      latencies.push_back(ToMillis(calls[i]->answered - start - arrivals[i].at));
    }
    return latencies;
  };
  double none = 0;
  double reviews = 0;
  const std::vector<double> without = latencies_of(0, &none);
  const std::vector<double> with = latencies_of(1, &reviews);
  EXPECT_EQ(none, 0);
  EXPECT_GT(reviews, kRequests / 4);
  int delayed = 0;
  for (size_t i = 0; i < with.size(); ++i) {
    const double delay = with[i] - without[i];
    EXPECT_GE(delay, -1e-3);
    EXPECT_LE(delay, LiveQuality::kBudgetShare * 30 + 1e-3);
    if (delay > 1e-3) ++delayed;
  }
  // Else this has shown nothing.
  EXPECT_GT(delayed, 0);
}

// What comes while a batch of a review runs is next.
TEST_F(LiveQualityTest, ARequestIsServedBeforeTheRestOfAReview) {
  harness.Submit(kTenDocuments);
  ASSERT_TRUE(harness.ranker().RunOne(0));
  std::shared_ptr<Call> urgent;
  harness.backend().set_on_run([&] {
    if (urgent == nullptr) urgent = harness.Submit(kTenDocuments);
  });
  ASSERT_TRUE(harness.ranker().RunOne(0));
  EXPECT_EQ(harness.backend().runs().back().variant, kBest);
  EXPECT_EQ(harness.backend().runs().back().rows, 1);
  EXPECT_EQ(urgent->answers, 0);
  ASSERT_TRUE(harness.ranker().RunOne(0));
  EXPECT_EQ(harness.backend().runs().back().variant, kQuick);
  EXPECT_EQ(urgent->answers, 1);
  harness.RunAll();
  EXPECT_EQ(Reviews(&harness, kQuick), 2);
}

// Answered requests as a worker leaves them.
class Sample {
 public:
  explicit Sample(LiveQualityOptions options)
      : served_(MakeServed(Family())),
        recorder_(MakeRecorderOptions(Family())),
        live_(options, {}, served_, &recorder_) {
    for (const FakeVariant& variant : Family()) {
      variants_.push_back(
          {.quality = variant.quality, .cost = {.per_token = variant.cost.per_token}});
    }
    live_.OnArrival(1);
  }

  static PendingPtr Answered(uint64_t sequence, int documents) {
    auto pending = std::make_shared<PendingRequest>();
    pending->encoded = EncodeLengths(std::vector<int32_t>(static_cast<size_t>(documents), 20));
    pending->sequence = sequence;
    pending->variant = kQuick;
    return pending;
  }
  void Keep(int documents) {
    const PendingPtr pending = Answered(0, documents);
    live_.Keep(*pending,
               RankOrder(std::vector<float>(static_cast<size_t>(documents)), 1, {}, false));
  }

  LiveQuality& live() { return live_; }
  Recorder& recorder() { return recorder_; }
  std::span<const VariantState> variants() const { return variants_; }

 private:
  const std::vector<ServedVariant> served_;
  Recorder recorder_;
  LiveQuality live_;
  std::vector<VariantState> variants_;
};

TEST(LiveQuality, TheSampleIsSeeded) {
  const auto sampled = [](uint64_t seed) {
    Sample sample({.share = 0.01, .seed = seed});
    std::vector<uint64_t> found;
    for (uint64_t i = 0; i < 20'000; ++i) {
      if (sample.live().IsSampled(*Sample::Answered(i, 2))) found.push_back(i);
    }
    return found;
  };
  const std::vector<uint64_t> first = sampled(1);
  EXPECT_NEAR(static_cast<double>(first.size()), 200, 45);  // 3 standard deviations
  EXPECT_EQ(first, sampled(1));
  EXPECT_NE(first, sampled(2));
}

TEST(LiveQuality, KeepsABoundedNumberOfDocuments) {
  Sample sample({.share = 1});
  for (int i = 0; i < 100; ++i) sample.Keep(200);
  size_t rows = 0;
  for (;;) {
    const ReviewCut cut = sample.live().Cut({.gap = 100}, sample.variants());
    if (!cut.batch) break;
    rows += static_cast<size_t>(cut.batch->rows);
    EXPECT_FALSE(sample.live().HasWork());  // one at a time
    const std::vector<float> outputs(static_cast<size_t>(cut.batch->rows));
    sample.live().Complete(*cut.batch, outputs, true);
  }
  EXPECT_EQ(rows, LiveQuality::kMaxReviews * LiveQuality::kMaxRows);
  EXPECT_EQ(sample.recorder().Reviews(kQuick, kBest).reviews, LiveQuality::kMaxReviews);
  EXPECT_EQ(sample.recorder().Reviews(kQuick, kBest).concordance, LiveQuality::kMaxReviews);
}

TEST(LiveQuality, NothingIsReviewedWhileARequestIsTokenised) {
  Sample sample({.share = 1});
  sample.Keep(10);
  const std::vector<std::string> ids = {"best", "quick", "other"};
  const auto selector = MakeSelector("tailored", ids);
  ASSERT_TRUE(selector.ok());
  BatchQueue queue({.num_outputs = {1, 1, 1}, .live_quality = &sample.live()}, selector->get(),
                   &sample.recorder());
  const TimePoint now{std::chrono::hours(1)};
  const auto accept = [](const QueueLoad&) { return absl::OkStatus(); };
  const auto pending = std::make_shared<PendingRequest>();
  pending->is_cancelled = true;
  ASSERT_TRUE(queue.Reserve(pending.get(), {}, now, accept).ok());
  EXPECT_FALSE(queue.Cut(0, sample.variants(), now).review.has_value());
  PushedOut pushed_out;
  ASSERT_FALSE(queue.Push(pending, 0, sample.variants(), now, accept, &pushed_out).ok());
  EXPECT_TRUE(queue.Cut(0, sample.variants(), now).review.has_value());
}

}  // namespace
}  // namespace tailor
