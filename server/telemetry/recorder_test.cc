// SPDX-License-Identifier: Apache-2.0
#include "server/telemetry/recorder.h"

#include <cmath>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "server/telemetry/render_metrics.h"

namespace tailor {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

RecorderOptions TwoVariants() {
  return {.version = "1.2.3",
          .isa = "avx2",
          .variants = {{.id = "large", .format = "f32", .device = "cpu", .layers = 6, .bytes = 100},
                       {.id = "small", .format = "f32", .device = "cpu", .layers = 2, .bytes = 10}},
          .cores = 2};
}

double Value(const Recorder& recorder, Metric metric, std::vector<int> indices = {}) {
  return recorder.Value(metric, indices);
}

Duration Millis(double ms) { return FromSeconds(ms * 1e-3); }

TEST(Recorder, CountsCallsByOutcome) {
  Recorder recorder(TwoVariants());
  recorder.BeginRpc(RpcMethod::kRank);
  recorder.BeginRpc(RpcMethod::kRank);
  recorder.EndRpc(RpcMethod::kRank, Outcome::kOverloaded, Millis(2), Millis(20));
  EXPECT_EQ(Value(recorder, Metric::kInflight, {0}), 1);
  const std::string text = RenderMetrics(recorder);
  EXPECT_THAT(text, HasSubstr("tailor_requests_total{method=\"Rank\",code=\"RESOURCE_EXHAUSTED\","
                              "reason=\"overloaded\"} 1"));
  EXPECT_THAT(text, HasSubstr("tailor_inflight_requests{method=\"Rank\"} 1"));
  EXPECT_THAT(text,
              HasSubstr("tailor_budget_requests_total{budget_class=\"20\",result=\"shed\"} 1"));
}

TEST(Recorder, BudgetsAreMetMissedOrShed) {
  Recorder recorder(TwoVariants());
  const auto end = [&](Outcome outcome, double ms, double budget_ms) {
    recorder.BeginRpc(RpcMethod::kRank);
    recorder.EndRpc(RpcMethod::kRank, outcome, Millis(ms), Millis(budget_ms));
  };
  end(Outcome::kOk, 4, 5);
  end(Outcome::kOk, 6, 5);
  end(Outcome::kDeadline, 6, 5);
  end(Outcome::kBudgetInfeasible, 1, 5);
  end(Outcome::kCancelled, 1, 5);        // says nothing about the server
  end(Outcome::kInvalidArgument, 1, 5);  // neither does this
  end(Outcome::kOk, 1, 0);               // no budget
  EXPECT_EQ(Value(recorder, Metric::kBudgetRequests, {0, 0}), 1);
  EXPECT_EQ(Value(recorder, Metric::kBudgetRequests, {0, 1}), 2);
  EXPECT_EQ(Value(recorder, Metric::kBudgetRequests, {0, 2}), 1);
  EXPECT_EQ(recorder.Series(Metric::kBudgetUsed, 0).back(), 4.0 / 5 + 6.0 / 5);
}

TEST(Recorder, HistogramsAreCumulativeAndInclusive) {
  Recorder recorder(TwoVariants());
  for (const int tokens : {16, 17, 40000}) recorder.RecordRequest(1, tokens);
  const std::string text = RenderMetrics(recorder);
  EXPECT_THAT(text, HasSubstr("tailor_request_tokens_bucket{le=\"16\"} 1"));
  EXPECT_THAT(text, HasSubstr("tailor_request_tokens_bucket{le=\"32\"} 2"));
  EXPECT_THAT(text, HasSubstr("tailor_request_tokens_bucket{le=\"+Inf\"} 3"));
  EXPECT_THAT(text, HasSubstr("tailor_request_tokens_count 3"));
  EXPECT_THAT(text, HasSubstr("tailor_request_tokens_sum 40033"));
}

TEST(Recorder, WhatIsNoNumberNeverEnters) {
  Recorder recorder(TwoVariants());
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double bad : {nan, infinity, -1.0}) {
    recorder.RecordBatch({.variant = 0,
                          .pairs = 1,
                          .tokens = 10,
                          .batch_seconds = bad,
                          .engine_seconds = bad,
                          .predicted_seconds = bad,
                          .modeled_seconds = bad});
    recorder.SetPredicted(0, 0, bad);
  }
  const CostTotals totals = recorder.Totals(0);
  EXPECT_EQ(totals.observed_seconds, 0);
  EXPECT_EQ(totals.modeled_seconds, 0);
  EXPECT_GE(Value(recorder, Metric::kMetricDrops), 9);
  const std::string text = RenderMetrics(recorder);
  EXPECT_THAT(text, Not(HasSubstr("Nan")));
  EXPECT_THAT(text, Not(HasSubstr("nan")));
}

TEST(Recorder, OneOutlierIsLimited) {
  Recorder recorder(TwoVariants());
  recorder.RecordBatch({.variant = 1,
                        .pairs = 1,
                        .tokens = 10,
                        .engine_seconds = 1,
                        .predicted_seconds = 0.01,
                        .modeled_seconds = 0.01});
  EXPECT_NEAR(recorder.Totals(1).observed_seconds, 0.02, 1e-12);
  // The histogram of what happened is not touched up.
  EXPECT_EQ(Value(recorder, Metric::kEngineBusy), 1);
}

TEST(Recorder, FailedBatchesTeachNothingAboutCost) {
  Recorder recorder(TwoVariants());
  recorder.RecordBatch({.variant = 0,
                        .pairs = 1,
                        .tokens = 10,
                        .engine_seconds = 1,
                        .predicted_seconds = 1,
                        .modeled_seconds = 1,
                        .failed = true});
  EXPECT_EQ(recorder.Totals(0).batches, 0);
  EXPECT_EQ(Value(recorder, Metric::kEngineErrors, {0}), 1);
}

TEST(Recorder, SumsOverThreads) {
  Recorder recorder(TwoVariants());
  {
    std::vector<std::jthread> threads;
    threads.reserve(12);
    for (int i = 0; i < 12; ++i) {
      threads.emplace_back([&recorder] {
        for (int k = 0; k < 1000; ++k) recorder.RecordRequest(2, 20);
      });
    }
  }
  EXPECT_EQ(recorder.Series(Metric::kRequestTokens, 0).back(), 12 * 1000 * 20);
}

TEST(Recorder, VariantStateIsOneHot) {
  Recorder recorder(TwoVariants());
  recorder.SetVariantCondition(0, VariantCondition::kReady);
  const std::string text = RenderMetrics(recorder);
  EXPECT_THAT(text, HasSubstr("tailor_variant_state{variant=\"large\",state=\"loading\"} 0"));
  EXPECT_THAT(text, HasSubstr("tailor_variant_state{variant=\"large\",state=\"ready\"} 1"));
  EXPECT_THAT(text, HasSubstr("tailor_variant_state{variant=\"small\",state=\"loading\"} 1"));
}

TEST(Recorder, SumsReviewsByPair) {
  Recorder recorder(TwoVariants());
  recorder.RecordReview({.variant = 1, .best = 0, .top1 = 1, .top10 = 0.5, .kendall_tau = 0.5});
  recorder.RecordReview({.variant = 1, .best = 0, .top1 = 0, .top10 = 0.75, .kendall_tau = -1});
  EXPECT_EQ(recorder.Reviews(1, 0).reviews, 2);
  EXPECT_DOUBLE_EQ(recorder.Reviews(1, 0).concordance, 0.75);
  EXPECT_EQ(recorder.Reviews(0, 1).reviews, 0);
  const std::string text = RenderMetrics(recorder);
  EXPECT_THAT(text, HasSubstr("tailor_reviews_total{variant=\"small\",best=\"large\"} 2"));
  const std::string pair =
      "tailor_review_agreement_total{variant=\"small\",best=\"large\",measure=";
  EXPECT_THAT(text, HasSubstr(pair + "\"top1\"} 1"));
  EXPECT_THAT(text, HasSubstr(pair + "\"top10\"} 1.25"));
  EXPECT_THAT(text, HasSubstr(pair + "\"kendall\"} 0.75"));
  // Pairs that were never seen have no series.
  EXPECT_THAT(text, Not(HasSubstr("tailor_reviews_total{variant=\"large\"")));
}

TEST(RenderMetrics, ShowsEveryMetricOfTheTable) {
  const Recorder recorder(TwoVariants());
  const std::string text = RenderMetrics(recorder);
  for (int i = 0; i < kNumMetrics; ++i) {
    EXPECT_THAT(text, HasSubstr("# TYPE " + std::string(InfoOf(static_cast<Metric>(i)).name)));
  }
  EXPECT_THAT(text, HasSubstr("tailor_build_info{version=\"1.2.3\",isa=\"avx2\"} 1"));
  EXPECT_THAT(text, HasSubstr("tailor_variant_info{variant=\"large\",format=\"f32\","
                              "device=\"cpu\",layers=\"6\"} 1"));
  EXPECT_THAT(text, HasSubstr("tailor_variant_bytes{variant=\"small\"} 10"));
  EXPECT_THAT(text, HasSubstr("tailor_cpu_quota_cores 2"));
  EXPECT_THAT(text, Not(HasSubstr("process_resident_memory_bytes 0\n")));
}

TEST(RenderMetrics, WorksWithoutAnyVariant) {
  const Recorder recorder(RecorderOptions{});
  EXPECT_THAT(RenderMetrics(recorder), HasSubstr("tailor_ready 0"));
}

TEST(RpcRecording, RecordsOnceAndNeverForgets) {
  Recorder recorder(TwoVariants());
  const TimePoint arrival{std::chrono::hours(1)};
  {
    RpcRecording recording(&recorder, RpcMethod::kScore, arrival);
    recording.set_budget(Millis(10));
    recording.End(Outcome::kOk, arrival + Millis(4));
    recording.End(Outcome::kEngine, arrival + Millis(5));
  }
  { const RpcRecording dropped(&recorder, RpcMethod::kScore, arrival); }
  EXPECT_EQ(Value(recorder, Metric::kRequests, {1, static_cast<int>(Outcome::kOk)}), 1);
  EXPECT_EQ(Value(recorder, Metric::kRequests, {1, static_cast<int>(Outcome::kEngine)}), 0);
  EXPECT_EQ(Value(recorder, Metric::kRequests, {1, static_cast<int>(Outcome::kCancelled)}), 1);
  EXPECT_EQ(Value(recorder, Metric::kInflight, {1}), 0);
  RpcRecording nothing(nullptr, RpcMethod::kRank, arrival);
  nothing.End(Outcome::kOk, arrival);
}

}  // namespace
}  // namespace tailor
