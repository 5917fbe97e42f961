// SPDX-License-Identifier: Apache-2.0
#include "cli/inspect_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>
#include <string>

#include "nlohmann/json.hpp"

#include "tests/testing/safetensors_writer.h"
#include "tests/testing/temp_folder.h"
#include "tests/testing/tiny_model.h"

namespace tailor {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::TempFolder;

struct Result {
  int exit_code = -1;
  std::string out;
  std::string error;
};

Result RunInspect(const std::filesystem::path& folder, bool as_json = false) {
  std::ostringstream out;
  std::ostringstream error;
  const int exit_code = Inspect(folder, as_json, out, error);
  return {.exit_code = exit_code, .out = out.str(), .error = error.str()};
}

Quality QualityOf(double ndcg10) {
  return {.ndcg10 = ndcg10,
          .ci_low = ndcg10 - 0.01,
          .ci_high = ndcg10 + 0.01,
          .num_queries = 50,
          .dataset_id = "set-b"};
}

class InspectTest : public ::testing::Test {
 protected:
  void SetUp() override {
    testing::WriteTinyModel(temp_.path() / "big",
                            {.id = "big", .num_layers = 3, .quality = QualityOf(0.8)});
    testing::WriteTinyModel(temp_.path() / "small",
                            {.id = "small", .num_layers = 1, .quality = QualityOf(0.7)});
    testing::WriteDerivedVariant(temp_.path() / "big-bf16", "big-bf16", "tiny", "big", "bf16",
                                 QualityOf(0.6));
  }
  TempFolder temp_;
};

TEST_F(InspectTest, PrintsTheLadderCheapestFirst) {
  const Result result = RunInspect(temp_.path());
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.error, IsEmpty());
  std::istringstream lines(result.out);
  std::vector<std::string> table;
  for (std::string line; std::getline(lines, line);) table.push_back(line);
  ASSERT_EQ(table.size(), 5u) << result.out;
  EXPECT_THAT(table[0], HasSubstr("family tiny: 3 variants, vocabulary of 104 entries"));
  EXPECT_THAT(table[1], HasSubstr("variant "));
  EXPECT_THAT(table[2], HasSubstr("small "));
  EXPECT_THAT(table[2], HasSubstr("0.700 (0.690 to 0.710)"));
  EXPECT_TRUE(table[2].ends_with(" yes"));
  EXPECT_THAT(table[3], HasSubstr("big-bf16 "));
  EXPECT_THAT(table[3], HasSubstr(" bf16 "));
  EXPECT_TRUE(table[3].ends_with(" no"));
  EXPECT_TRUE(table[4].ends_with(" yes"));
  EXPECT_EQ(table[1].size(), table[4].size());
}

TEST_F(InspectTest, NamesProblemsAndExitsWithOne) {
  std::filesystem::remove(temp_.path() / "small" / "vocab.txt");
  const Result result = RunInspect(temp_.path());
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.out, HasSubstr("\nproblem: small: vocab.txt: expected this file"));
}

TEST_F(InspectTest, JsonHoldsTheSame) {
  testing::WriteFile(temp_.path() / "broken" / "variant.json", "{}");
  const Result result = RunInspect(temp_.path(), /*as_json=*/true);
  EXPECT_EQ(result.exit_code, 1);
  const nlohmann::json report = nlohmann::json::parse(result.out);
  ASSERT_EQ(report["variants"].size(), 3u);
  EXPECT_EQ(report["variants"][2]["id"], "big");
  EXPECT_EQ(report["variants"][2]["heads"], (std::vector<int>{4, 4, 4}));
  EXPECT_EQ(report["variants"][1]["parent"], "big");
  EXPECT_EQ(report["variants"][1]["on_ladder"], false);
  EXPECT_EQ(report["variants"][2]["quality"]["ndcg10"], 0.8);
  EXPECT_EQ(report["problems"][0]["name"], "broken");
}

TEST_F(InspectTest, NothingLoadableExitsWith78) {
  TempFolder empty;
  const Result none = RunInspect(empty.path());
  EXPECT_EQ(none.exit_code, 78);
  EXPECT_THAT(none.error, HasSubstr("tailor inspect: "));
  testing::WriteFile(empty.path() / "broken" / "variant.json", "{}");
  const Result broken = RunInspect(empty.path());
  EXPECT_EQ(broken.exit_code, 78);
  EXPECT_THAT(broken.out, HasSubstr("problem: broken: variant.json: schema_version"));
}

TEST_F(InspectTest, IsACommand) {
  CLI::App app;
  int exit_code = -1;
  AddInspectCommand(app, &exit_code);
  ::testing::internal::CaptureStdout();
  app.parse("inspect " + temp_.path().string());
  EXPECT_THAT(::testing::internal::GetCapturedStdout(), HasSubstr("family tiny"));
  EXPECT_EQ(exit_code, 0);
}

}  // namespace
}  // namespace tailor
