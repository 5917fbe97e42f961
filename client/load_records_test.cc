// SPDX-License-Identifier: Apache-2.0
#include "client/load_records.h"

#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace tailor::client {
namespace {

using std::chrono::milliseconds;

RunInfo TwoBudgets() {
  RunInfo run;
  run.warmup = milliseconds(1000);
  run.duration = milliseconds(3000);
  run.budgets = {{milliseconds(20), 0.5}, {Duration::zero(), 0.5}};
  return run;
}

CallRecord Answered(int offset_ms, int latency_ms, int budget) {
  CallRecord record;
  record.offset = milliseconds(offset_ms);
  record.latency = milliseconds(latency_ms);
  record.budget = budget;
  record.documents = 32;
  record.outcome = CallRecord::Outcome::kAnswered;
  record.reason = "fit";
  record.variant = "small";
  record.quality = 0.7;
  record.server_budget = milliseconds(100);
  record.predicted = milliseconds(11);
  record.total = milliseconds(12);
  return record;
}

TEST(RecordLines, OneObjectACallInTheOrderOfTheSends) {
  CallRecord refused;
  refused.offset = milliseconds(500);
  refused.outcome = CallRecord::Outcome::kRefused;
  refused.reason = "OVERLOADED";
  const std::string lines =
      RecordLines({Answered(1500, 21, 0), Answered(2000, 21, 1), refused}, TwoBudgets());
  std::vector<nlohmann::json> calls;
  for (const absl::string_view line : absl::StrSplit(lines, '\n', absl::SkipEmpty())) {
    calls.push_back(nlohmann::json::parse(std::string(line)));
  }
  ASSERT_EQ(calls.size(), 3);
  EXPECT_EQ(calls[0]["at_s"], 0.5);
  EXPECT_EQ(calls[0]["outcome"], "refused");
  EXPECT_EQ(calls[0]["reason"], "OVERLOADED");
  EXPECT_FALSE(calls[0].contains("variant"));
  EXPECT_EQ(calls[1]["outcome"], "missed");  // 21 ms of 20
  EXPECT_EQ(calls[1]["budget_ms"], 20);
  EXPECT_EQ(calls[2]["outcome"], "met");  // held to the server's budget
  EXPECT_TRUE(calls[2]["budget_ms"].is_null());
  EXPECT_EQ(calls[2]["reason"], "fit");
  EXPECT_EQ(calls[2]["predicted_ms"], 11);
  EXPECT_EQ(calls[2]["total_ms"], 12);
}

TEST(WriteRecords, SaysWhichFileCannotBeWritten) {
  const absl::Status status = WriteRecords("/nowhere/calls", {Answered(0, 1, 0)}, TwoBudgets());
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_EQ(status.message(), "--record: cannot write /nowhere/calls");
}

}  // namespace
}  // namespace tailor::client
