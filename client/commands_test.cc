// SPDX-License-Identifier: Apache-2.0
// `tailor rank` and `tailor load` as a user calls them, against a server in this process.
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "client/command_options.h"
#include "client/fake_ranker.h"
#include "client/load_command.h"
#include "client/rank_command.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace tailor::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

struct Ran {
  int exit_code = -1;
  std::string out;
  std::string err;
};

Ran RunTailor(std::vector<std::string> arguments) {
  CLI::App app;
  Ran ran;
  AddRankCommand(app, &ran.exit_code);
  AddLoadCommand(app, &ran.exit_code);
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  try {
    app.parse(arguments);
  } catch (const CLI::ParseError& error) {
    ran.exit_code = app.exit(error);
  }
  std::fflush(stdout);
  ran.out = testing::internal::GetCapturedStdout();
  ran.err = testing::internal::GetCapturedStderr();
  return ran;
}

class CommandsTest : public testing::Test {
 protected:
  std::string WriteFile(const std::string& name, const std::string& content) {
    // ctest runs the cases of this file side by side, each in a process of its own.
    const std::string path =
        testing::TempDir() + "commands_test_" + std::to_string(getpid()) + "_" + name;
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }

  ToldAnswer answer_;
  FakeRanker server_{[this](const SeenCall&) { return answer_; }};
};

TEST_F(CommandsTest, RankPrintsJsonWhenNotOnATerminal) {
  const std::string file = WriteFile("documents", "first\r\n\nthird");
  const Ran ran = RunTailor({"rank", "--server", server_.address(), "--query", "q", "--budget",
                             "20ms", "--documents", file});
  ASSERT_EQ(ran.exit_code, kExitOk) << ran.err;
  const auto json = nlohmann::json::parse(ran.out);
  ASSERT_THAT(json["results"], SizeIs(3));
  EXPECT_EQ(json["results"][0]["document"], "third");
  EXPECT_EQ(json["results"][0]["index"], 2);
  EXPECT_EQ(json["results"][2]["document"], "first") << "the line end is no part of it";
  EXPECT_EQ(json["execution"]["variant"], "small");
  EXPECT_EQ(json["execution"]["predicted_ms"], 1.5);
  EXPECT_EQ(server_.calls()[0].budget_us, 20'000);
  EXPECT_EQ(server_.calls()[0].top_n, 10);
}

TEST_F(CommandsTest, RankPrintsATable) {
  const std::string file = WriteFile("documents", "first\nsecond \x1b[31mred\n");
  const Ran ran =
      RunTailor({"rank", "--server", server_.address(), "-q", "q", "--text", "--documents", file});
  ASSERT_EQ(ran.exit_code, kExitOk) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("1    1.0000       2  second  [31mred\n"));
  EXPECT_THAT(ran.out, HasSubstr("variant small (fit)"));
  EXPECT_EQ(ran.out.find('\x1b'), std::string::npos);
}

TEST_F(CommandsTest, RankShowsWhichVariantOfACascadeScoredEachDocument) {
  answer_.scored_by = {"quick", "good"};
  const std::string file = WriteFile("documents", "first\nsecond\n");
  const std::vector<std::string> arguments = {
      "rank", "--server", server_.address(), "-q", "q", "--documents", file};
  const Ran json = RunTailor(arguments);
  ASSERT_EQ(json.exit_code, kExitOk) << json.err;
  const auto results = nlohmann::json::parse(json.out)["results"];
  EXPECT_EQ(results[0]["variant"], "good");
  EXPECT_EQ(results[1]["variant"], "quick");
  std::vector<std::string> as_text = arguments;
  as_text.push_back("--text");
  EXPECT_THAT(RunTailor(as_text).out, HasSubstr("2  good                  second\n"));
}

TEST_F(CommandsTest, CascadeIsAutoOrOff) {
  const std::string file = WriteFile("documents", "a\n");
  const auto run = [&](const std::string& cascade) {
    return RunTailor({"rank", "--server", server_.address(), "-q", "q", "--documents", file,
                      "--cascade", cascade});
  };
  EXPECT_EQ(run("auto").exit_code, kExitOk);
  EXPECT_EQ(run("off").exit_code, kExitOk);
  EXPECT_NE(run("on").exit_code, kExitOk);
  ASSERT_THAT(server_.calls(), SizeIs(2));
  EXPECT_EQ(server_.calls()[0].cascade, 1);
  EXPECT_EQ(server_.calls()[1].cascade, 2);
}

TEST_F(CommandsTest, RankSaysWhatWouldDo) {
  answer_.code = 9;
  answer_.message = "too slow";
  answer_.reason = "BUDGET_INFEASIBLE";
  answer_.smallest_feasible_budget_us = 3100;
  const std::string file = WriteFile("documents", "a\n");
  const Ran ran =
      RunTailor({"rank", "--server", server_.address(), "-q", "q", "--documents", file});
  EXPECT_EQ(ran.exit_code, kExitNotAnswered);
  EXPECT_EQ(ran.err,
            "tailor rank: BUDGET_INFEASIBLE: too slow (smallest feasible budget 3.1 ms)\n");
  EXPECT_EQ(nlohmann::json::parse(ran.out)["error"]["smallest_feasible_budget_ms"], 3.1);
}

TEST_F(CommandsTest, ExitCodesTellProblemsApart) {
  const std::string file = WriteFile("documents", "a\n");
  EXPECT_EQ(RunTailor({"rank", "--documents", file}).exit_code, kExitUsage);
  EXPECT_EQ(RunTailor({"rank", "-q", "q", "--budget", "20", "--documents", file}).exit_code,
            kExitUsage);
  EXPECT_EQ(RunTailor({"rank", "-q", "q", "--documents", file + ".none"}).exit_code, kExitNoInput);
  EXPECT_EQ(RunTailor({"rank", "-q", "q", "--documents", testing::TempDir()}).exit_code,
            kExitNoInput);
  EXPECT_EQ(
      RunTailor({"rank", "-q", "q", "--documents", file, "--server", "127.0.0.1:1"}).exit_code,
      kExitUnavailable);
}

TEST_F(CommandsTest, FlagsBeatTheEnvironmentWhichBeatsTheConfig) {
  const std::string file = WriteFile("documents", "a\n");
  const std::string config =
      WriteFile("config",
                "# shared\nserver = 127.0.0.1:1\nbudget = \"10ms\"\n[rank]\n"
                "variant = from-config\ntop = 3\nraw = true\n[load]\nrate = 5\n"
                "[serve]\nfamily = x\n");
  ASSERT_EQ(setenv("TAILOR_SERVER", server_.address().c_str(), 1), 0);
  ASSERT_EQ(setenv("TAILOR_TOP", "4", 1), 0);
  const Ran ran = RunTailor(
      {"rank", "-q", "q", "--documents", file, "--config", config, "--variant", "from-flag"});
  unsetenv("TAILOR_SERVER");
  unsetenv("TAILOR_TOP");
  ASSERT_EQ(ran.exit_code, kExitOk) << ran.err;
  const SeenCall seen = server_.calls()[0];
  EXPECT_EQ(seen.variant, "from-flag");
  EXPECT_EQ(seen.top_n, 4);
  EXPECT_EQ(seen.budget_us, 10'000);
  EXPECT_EQ(seen.scale, 1) << "raw";
}

TEST_F(CommandsTest, AnUnknownConfigKeyIsAnErrorWithTheNearestName) {
  const Ran ran = RunTailor({"rank", "-q", "q", "--config", WriteFile("bad", "\nbugdet = 1ms\n")});
  EXPECT_EQ(ran.exit_code, kExitUsage);
  EXPECT_THAT(ran.err, HasSubstr("bad:2: unknown option \"bugdet\", did you mean \"budget\"?"));
  EXPECT_EQ(RunTailor({"rank", "-q", "q", "--config", WriteFile("bad", "top = x\n")}).exit_code,
            kExitUsage);
}

TEST_F(CommandsTest, OpenLoopLoadSendsItsScheduleAndAddsUp) {
  const Ran ran = RunTailor({"load", "--server", server_.address(), "--rate", "200", "--duration",
                             "0.5s", "--warmup", "0s", "--arrivals", "constant", "--budget",
                             "60s:1", "--documents-per-call", "3", "--quiet"});
  // 75: a busy machine may not keep the schedule; everything below holds all the same.
  ASSERT_TRUE(ran.exit_code == kExitOk || ran.exit_code == kExitVoid) << ran.err;
  const auto json = nlohmann::json::parse(ran.out);
  const auto sent = static_cast<int64_t>(server_.calls().size());
  EXPECT_NEAR(static_cast<double>(sent), 100, 1);
  EXPECT_EQ(json["calls"], sent);
  EXPECT_EQ(json["met"], sent);
  EXPECT_EQ(json["variants"]["small"], sent);
  EXPECT_EQ(json["latency_ms"]["n"], sent);
  EXPECT_DOUBLE_EQ(json["goodput_documents_per_s"].get<double>(),
                   static_cast<double>(sent) * 3 / 0.5);
  EXPECT_DOUBLE_EQ(json["tokens_per_s"].get<double>(), static_cast<double>(sent) * 30 / 0.5);
  EXPECT_EQ(json["valid"], ran.exit_code == kExitOk);
  EXPECT_THAT(server_.calls()[0].documents, SizeIs(3));
}

TEST_F(CommandsTest, TraceReplaysOffsetsBudgetsAndDocuments) {
  const std::string trace = WriteFile("trace", "5 1s 1\n5 2s 2\n5.01 3s 3\n");
  const Ran ran = RunTailor({"load", "--server", server_.address(), "--trace", trace, "--warmup",
                             "0s", "--quiet", "--connections", "1"});
  ASSERT_TRUE(ran.exit_code == kExitOk || ran.exit_code == kExitVoid) << ran.err;
  std::vector<std::pair<int64_t, size_t>> seen;
  for (const SeenCall& call : server_.calls()) {
    seen.emplace_back(call.budget_us / 1'000'000, call.documents.size());
  }
  EXPECT_THAT(seen,
              testing::UnorderedElementsAre(std::pair(1, 1u), std::pair(2, 2u), std::pair(3, 3u)));
}

TEST_F(CommandsTest, LoadRecordsEveryCall) {
  const std::string trace = WriteFile("trace", "0 1s 1\n0.01 2s 2\n");
  const std::string record = WriteFile("record", "");
  const Ran ran = RunTailor({"load", "--server", server_.address(), "--trace", trace, "--warmup",
                             "0s", "--quiet", "--record", record});
  ASSERT_TRUE(ran.exit_code == kExitOk || ran.exit_code == kExitVoid) << ran.err;
  std::ifstream lines(record);
  std::vector<nlohmann::json> calls;
  for (std::string line; std::getline(lines, line);) calls.push_back(nlohmann::json::parse(line));
  ASSERT_THAT(calls, SizeIs(2));
  EXPECT_EQ(calls[1]["budget_ms"], 2000);
  EXPECT_EQ(calls[1]["documents"], 2);
  EXPECT_EQ(calls[1]["variant"], "small");
  EXPECT_EQ(calls[1]["outcome"], "met");
  EXPECT_EQ(calls[1]["predicted_ms"], 1.5);
}

TEST_F(CommandsTest, ClosedLoopKeepsCallsUnderWayAndCountsRefusals) {
  answer_.code = 8;
  answer_.reason = "OVERLOADED";
  const Ran ran = RunTailor({"load", "--server", server_.address(), "--concurrency", "4",
                             "--duration", "0.2s", "--warmup", "0s", "--text", "--quiet"});
  EXPECT_EQ(ran.exit_code, kExitNotAnswered) << ran.err;
  EXPECT_GE(server_.calls().size(), 4u);
  EXPECT_THAT(ran.out, HasSubstr("refused: OVERLOADED "));
  EXPECT_THAT(ran.out, HasSubstr("closed loop, 4 calls under way"));
}

TEST_F(CommandsTest, LoadSaysWhatIsWrong) {
  for (const std::vector<std::string>& bad : std::vector<std::vector<std::string>>{
           {"load"},
           {"load", "--rate", "1", "--concurrency", "1"},
           {"load", "--rate", "1", "--budget", "x"},
           {"load", "--rate", "1", "--arrivals", "x"},
           {"load", "--rate", "1", "--duration", "1s", "--warmup", "1s"},
           {"load", "--rate", "-1"}}) {
    const Ran ran = RunTailor(bad);
    EXPECT_EQ(ran.exit_code, kExitUsage) << testing::PrintToString(bad);
    EXPECT_THAT(ran.err, HasSubstr("tailor load: "));
  }
}

}  // namespace
}  // namespace tailor::client
