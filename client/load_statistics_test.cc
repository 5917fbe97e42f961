// SPDX-License-Identifier: Apache-2.0
#include "client/load_statistics.h"

#include <string>
#include <vector>

#include "client/load_report.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace tailor::client {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

RunInfo OpenRun() {
  RunInfo run;
  run.warmup = milliseconds(1000);
  run.duration = milliseconds(3000);
  run.budgets = {{milliseconds(20), 0.5}, {Duration::zero(), 0.5}};
  return run;
}

CallRecord Answered(int offset_ms, int latency_ms, int budget = 0) {
  CallRecord record;
  record.offset = milliseconds(offset_ms);
  record.latency = milliseconds(latency_ms);
  record.budget = budget;
  record.documents = 32;
  record.outcome = CallRecord::Outcome::kAnswered;
  record.variant = "small";
  record.quality = 0.7;
  record.tokens = 1000;
  record.server_budget = milliseconds(100);
  return record;
}

CallRecord NotAnswered(CallRecord::Outcome outcome, const std::string& reason) {
  CallRecord record;
  record.offset = milliseconds(2000);
  record.outcome = outcome;
  record.reason = reason;
  record.documents = 32;
  return record;
}

TEST(Summarize, CountsMetMissedRefusedAndFailedPerBudget) {
  const std::vector<CallRecord> records = {
      Answered(500, 1),        // warm-up
      Answered(1000, 20),      // just met
      Answered(1500, 21),      // missed
      Answered(1600, 100, 1),  // held to the server's budget: met
      Answered(1700, 101, 1),  // missed
      NotAnswered(CallRecord::Outcome::kRefused, "OVERLOADED"),
      NotAnswered(CallRecord::Outcome::kFailed, "UNAVAILABLE")};
  const LoadSummary summary = Summarize(records, OpenRun());
  EXPECT_EQ(summary.calls, 6);
  EXPECT_EQ(summary.answered, 4);
  EXPECT_EQ(summary.met, 2);
  EXPECT_EQ(summary.missed, 2);
  EXPECT_EQ(summary.refused, 1);
  EXPECT_EQ(summary.failed, 1);
  EXPECT_EQ(summary.budgets[0].calls, 4);
  EXPECT_EQ(summary.budgets[0].refused.at("OVERLOADED"), 1);
  EXPECT_EQ(summary.budgets[0].failed.at("UNAVAILABLE"), 1);
  EXPECT_EQ(summary.budgets[1].met, 1);
  EXPECT_THAT(summary.latency.sorted_ms, testing::ElementsAre(20, 21, 100, 101));
  EXPECT_DOUBLE_EQ(summary.goodput_documents_per_s, 2 * 32 / 2.0);
  EXPECT_DOUBLE_EQ(summary.throughput_documents_per_s, 4 * 32 / 2.0);
  EXPECT_DOUBLE_EQ(summary.tokens_per_s, 4000 / 2.0);
  EXPECT_DOUBLE_EQ(summary.mean_quality, 0.7);
}

// A closed loop sends when answers come: a call counts where it ends, else the slow ones under way
// at the end of the run would raise the throughput.
TEST(Summarize, ClosedLoopCountsCallsByTheirEnd) {
  RunInfo run = OpenRun();
  run.open_loop = false;
  const LoadSummary summary = Summarize(
      {Answered(900, 200), Answered(2900, 200), Answered(500, 100), Answered(2000, 5)}, run);
  EXPECT_EQ(summary.calls, 2);
}

TEST(Summarize, UnknownQualityDoesNotCount) {
  CallRecord unknown = Answered(1500, 1);
  unknown.quality = 0;
  EXPECT_DOUBLE_EQ(Summarize({unknown, Answered(1500, 1)}, OpenRun()).mean_quality, 0.7);
  EXPECT_DOUBLE_EQ(Summarize({unknown}, OpenRun()).mean_quality, 0);
}

TEST(Summarize, ALateClientVoidsTheRun) {
  std::vector<CallRecord> records(100, Answered(1500, 5));
  EXPECT_THAT(Summarize(records, OpenRun()).problems, IsEmpty());
  records[0].lag = records[1].lag = microseconds(1500);
  const LoadSummary summary = Summarize(records, OpenRun());
  ASSERT_THAT(summary.problems, SizeIs(1));
  EXPECT_THAT(summary.problems[0], HasSubstr("send lag p99 1.50 ms"));
}

TEST(Summarize, CallsThatWereNotSentVoidTheRun) {
  const LoadSummary summary = Summarize(
      {Answered(1500, 5), NotAnswered(CallRecord::Outcome::kFailed, kInFlightLimit)}, OpenRun());
  ASSERT_THAT(summary.problems, SizeIs(1));
  EXPECT_THAT(summary.problems[0], HasSubstr("1 calls were not sent"));
}

TEST(Summarize, NothingMeasuredIsVoid) {
  EXPECT_THAT(Summarize({}, OpenRun()).problems, SizeIs(1));
}

TEST(MakeHistogram, BucketsCoverTheSampleWithoutGaps) {
  const std::vector<HistogramBucket> buckets = MakeHistogram({0.9, 1.0, 1.4, 1.5, 9.99, 10, 40});
  int64_t total = 0;
  for (size_t i = 0; i < buckets.size(); ++i) {
    total += buckets[i].count;
    EXPECT_LT(buckets[i].low_ms, buckets[i].high_ms);
    if (i > 0) {
      EXPECT_DOUBLE_EQ(buckets[i].low_ms, buckets[i - 1].high_ms);
    }
  }
  EXPECT_EQ(total, 7);
  EXPECT_LE(buckets.front().low_ms, 0.9);
  EXPECT_GT(buckets.back().high_ms, 40);
  EXPECT_EQ(buckets.front().count, 1);
  EXPECT_EQ(buckets[1].count, 2) << "1 and 1.4 lie in [1, 1.5)";
  EXPECT_THAT(MakeHistogram({}), IsEmpty());
  EXPECT_THAT(MakeHistogram({0, 0}), SizeIs(1));
}

TEST(LoadReport, ShowsEveryFigure) {
  std::vector<CallRecord> records(1000, Answered(1500, 5));
  records.push_back(NotAnswered(CallRecord::Outcome::kRefused, "OVERLOADED"));
  const LoadSummary summary = Summarize(records, OpenRun());
  LoadSettings settings;
  settings.mode = "open";
  settings.arrivals = "poisson";
  settings.rate = 200;
  const std::string text = LoadText(settings, summary);
  for (const char* part : {"open loop, poisson, 200 calls/s", "met 1000", "p99.9", "[5.00, ?]",
                           "refused: OVERLOADED 1", "small", "####", "intended send time"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  const auto json = nlohmann::json::parse(LoadJson(settings, summary));
  EXPECT_EQ(json["latency_ms"]["p99"]["value"], 5);
  EXPECT_TRUE(json["latency_ms"]["p99.9"]["high"].is_null()) << "1000 samples do not bound a p99.9";
  EXPECT_EQ(json["budgets"][0]["refused"]["OVERLOADED"], 1);
  EXPECT_TRUE(json["budgets"][1]["budget_ms"].is_null());
}

}  // namespace
}  // namespace tailor::client
