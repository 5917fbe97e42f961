// SPDX-License-Identifier: Apache-2.0
#include "cli/simulate_command.h"

#include <fstream>
#include <sstream>
#include <string>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

#include "tests/testing/temp_folder.h"

namespace tailor {
namespace {

constexpr char kProfile[] = R"({
 "name": "two", "source": "a test", "capacity_cut": "small", "request": {"documents": 8, "tokens": 64},
 "cuts": [{"id": "large", "quality": 0.9, "fixed_us": 500, "per_token_us": 40},
          {"id": "small", "quality": 0.6, "fixed_us": 100, "per_token_us": 4}]})";

struct Ran {
  int exit_code = 0;
  std::string out;
  std::string error;
};

class SimulateCommandTest : public ::testing::Test {
 protected:
  SimulateCommandTest() {
    options_.profiles = folder_.path();
    options_.profile = "two";
    options_.trace = "gamma-4";
    options_.duration = "5s";
    options_.as_json = true;
    Write("two.json", kProfile);
  }

  std::string Write(const std::string& name, const std::string& text) {
    std::ofstream(folder_.path() / name) << text;
    return (folder_.path() / name).string();
  }

  Ran Run() const {
    std::ostringstream out;
    std::ostringstream error;
    const int exit_code = RunSimulation(options_, out, error);
    return {exit_code, out.str(), error.str()};
  }

  void ExpectProblem(int exit_code, const std::string& part) const {
    const Ran ran = Run();
    EXPECT_EQ(ran.exit_code, exit_code) << ran.error;
    EXPECT_EQ(ran.out, "");
    EXPECT_TRUE(ran.error.starts_with("tailor simulate: ")) << ran.error;
    EXPECT_NE(ran.error.find(part), std::string::npos) << ran.error;
    EXPECT_EQ(ran.error.find('\n'), ran.error.size() - 1) << ran.error;
  }

  testing::TempFolder folder_;
  SimulateOptions options_;
};

TEST_F(SimulateCommandTest, PrintsTheSameBytesAgain) {
  options_.by_second = true;
  options_.fault = "slow-phases";
  const Ran first = Run();
  ASSERT_EQ(first.exit_code, 0) << first.error;
  EXPECT_EQ(Run().out, first.out);
  options_.seed = 2;
  EXPECT_NE(Run().out, first.out);
}

TEST_F(SimulateCommandTest, JsonAddsUp) {
  options_.by_second = true;
  options_.decision_time = true;
  const auto json = nlohmann::json::parse(Run().out);
  EXPECT_EQ(json["met"].get<int>() + json["refused"].get<int>() + json["given_up"].get<int>() +
                json["late"].get<int>(),
            json["requests"].get<int>());
  EXPECT_GT(json["requests"].get<int>(), 100);
  EXPECT_NEAR(json["effective_quality"].get<double>(),
              json["mean_quality"].get<double>() * json["attainment"].get<double>(), 1e-9);
  double shares = 0;
  for (const auto& cut : json["cuts"]) shares += cut["share"].get<double>();
  EXPECT_NEAR(shares, 1, 1e-9);
  EXPECT_EQ(json["by_second"].size(), 5u);
  EXPECT_GT(json["decision_us"]["p99"].get<double>(), 0);
}

TEST_F(SimulateCommandTest, TextIsForPeople) {
  options_.as_json = false;
  const Ran ran = Run();
  EXPECT_NE(ran.out.find("profile two, trace gamma-4, load 0.8, policy tailored"),
            std::string::npos);
  EXPECT_NE(ran.out.find("attainment"), std::string::npos);
  std::istringstream lines(ran.out);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100u) << line;
}

TEST_F(SimulateCommandTest, ReadsTraceFilesAndRecordsThem) {
  options_.trace = Write("trace.txt", "# recorded\n5\n5.5 200ms\n\n6,300ms,3\n");
  options_.record = folder_.path() / "record.txt";
  options_.noise = 0;
  const auto json = nlohmann::json::parse(Run().out);
  EXPECT_EQ(json["requests"], 3);
  EXPECT_EQ(json["met"], 3);
  std::ifstream record(options_.record);
  double offset = 0;
  double budget = 0;
  int documents = 0;
  int tokens = 0;
  int64_t squares = 0;
  record >> offset >> budget >> documents >> tokens >> squares;
  EXPECT_EQ(offset, 0);
  EXPECT_EQ(documents, 8);
  record >> offset >> budget >> documents >> tokens >> squares;
  EXPECT_EQ(offset, 0.5);
  EXPECT_EQ(budget, 0.2);
  record >> offset >> budget >> documents >> tokens >> squares;
  EXPECT_EQ(documents, 3);
  EXPECT_EQ(budget, 0.3);
  EXPECT_GE(squares * 3, static_cast<int64_t>(tokens) * tokens);
}

TEST_F(SimulateCommandTest, UnknownNamesSayWhatIsAllowed) {
  options_.policy = "tailord";
  ExpectProblem(64, "policy: expected one of tailored, ");
  options_.policy = "fixed:medium";
  ExpectProblem(64, "fixed:VARIANT");
  options_.policy = "tailored";
  options_.trace = "gama-4";
  ExpectProblem(64, "did you mean \"gamma-4\"?");
  options_.trace = "poisson";
  options_.fault = "fire";
  ExpectProblem(64, "fault: expected one of none, ");
  options_.fault = "none";
  options_.profile = "too";
  ExpectProblem(64, "or one of two (");
}

TEST_F(SimulateCommandTest, WrongValues) {
  options_.load = 0;
  ExpectProblem(64, "load: expected above 0");
  options_.load = 1;
  options_.noise = -1;
  ExpectProblem(64, "noise: expected 0 to 1");
  options_.noise = 0;
  options_.duration = "soon";
  ExpectProblem(64, "duration: expected a time above 0 such as 60s, got \"soon\"");
}

TEST_F(SimulateCommandTest, WrongFilesSayWhere) {
  options_.profile = Write("bad.json", R"({"name": "bad"})");
  ExpectProblem(65, "bad.json: source: expected a value, got nothing");
  options_.profile = "/nonexistent/x.json";
  ExpectProblem(66, "profile /nonexistent/x.json: cannot be read");
  options_.profile = "two";
  options_.trace = Write("t1.txt", "0 20ms\n1 20\n");
  ExpectProblem(65, "t1.txt:2: ");
  options_.trace = Write("t2.txt", "2\n1\n");
  ExpectProblem(65, "t2.txt:2: offsets must not decrease");
  options_.trace = Write("t3.txt", "# nothing\n");
  ExpectProblem(65, "t3.txt:1: expected at least one line");
  options_.trace = Write("t4.txt", "0 1s 0\n");
  ExpectProblem(65, "t4.txt:1: documents: expected 1 to ");
  options_.trace = "/nonexistent/t.txt";
  ExpectProblem(66, "trace /nonexistent/t.txt: cannot be read");
}

}  // namespace
}  // namespace tailor
