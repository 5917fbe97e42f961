// SPDX-License-Identifier: Apache-2.0
#include "server/http/status_page.h"

#include <chrono>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tailor {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TimePoint At(int seconds) { return TimePoint(std::chrono::seconds(seconds)); }

nlohmann::json FullStatus() {
  ServerFacts facts;
  facts.version = "1.2.3";
  facts.family = "packages";
  facts.started = At(100);
  facts.refused = {{"bad<script>", "expected 2 tensors, got 1"}};
  return StatusJson({.facts = &facts, .state = "ready", .now = At(160), .resident_bytes = 3 << 20});
}

TEST(PredictedSeconds, FollowsTheCostModel) {
  const CostCoefficients cost{
      .fixed = 1, .per_token = 0.1, .per_square = 0.001, .per_row = 0.5, .ratio = 2};
  // Two pairs of ten tokens: 1 + 0.1 * 20 + 0.001 * 200 + 0.5 * 2, twice as slow as predicted.
  EXPECT_DOUBLE_EQ(PredictedSeconds(cost, 2, 10), 8.4);
}

TEST(StatusJson, WorksWithoutAPipeline) {
  const nlohmann::json status = FullStatus();
  EXPECT_EQ(status["uptime_s"], 60.0);
  EXPECT_EQ(status["variants"].size(), 1U);
  EXPECT_EQ(status["variants"][0]["state"], "refused");
}

TEST(StatusHtml, ShowsTheNoticeOfABackendThatHasOne) {
  EXPECT_THAT(StatusHtml(FullStatus()), Not(HasSubstr("notice")));
  ServerFacts facts;
  facts.device = "cuda";
  facts.notice = "never <run>";
  const nlohmann::json status = StatusJson({.facts = &facts, .state = "ready"});
  EXPECT_EQ(status["notice"], "never <run>");
  EXPECT_THAT(StatusHtml(status), HasSubstr("<dt>notice</dt><dd>never &lt;run&gt;</dd>"));
}

TEST(StatusHtml, ShowsRefusedVariantsEscaped) {
  const std::string page = StatusHtml(FullStatus());
  EXPECT_THAT(page, HasSubstr("bad&lt;script&gt;"));
  EXPECT_THAT(page, Not(HasSubstr("<script>")));
  EXPECT_THAT(page, HasSubstr("expected 2 tensors, got 1"));
}

TEST(StatusHtml, ShowsVariantsAndDecisions) {
  nlohmann::json status = FullStatus();
  status["variants"].push_back({{"id", "teacher"},
                                {"state", "ready"},
                                {"format", "f32"},
                                {"layers", 6},
                                {"hidden", 384},
                                {"parameters", 22'700'000},
                                {"weight_bytes", 45 << 20},
                                {"on_ladder", true},
                                {"cost", {{"ratio", 1.05}}},
                                {"ms_1x64", 4.25},
                                {"ms_1x128", 8.5},
                                {"ms_32x64", 120.0},
                                {"quality", {{"ndcg10", 0.812}, {"low", 0.79}, {"high", 0.83}}}});
  status["variants"].push_back(status["variants"].back());
  status["variants"].back().update({{"id", "student"}, {"state", "quarantined"}});
  status["decisions"].push_back({{"age_s", 1.5},
                                 {"variant", "teacher"},
                                 {"reason", "fit"},
                                 {"requests", 1},
                                 {"pairs", 32},
                                 {"tokens", 2048},
                                 {"predicted_ms", 120.5},
                                 {"actual_ms", 0.0},
                                 {"split", "outputs"}});
  const std::string page = StatusHtml(status);
  for (const char* shown :
       {"6 x 384", "22.70 M", "45.0 MiB", "0.812", "[0.790, 0.830]", "4.25", "120.50", "1.5 s ago",
        "student (quarantined)", "outputs", "prefers-color-scheme: dark"}) {
    EXPECT_THAT(page, HasSubstr(shown));
  }
}

}  // namespace
}  // namespace tailor
