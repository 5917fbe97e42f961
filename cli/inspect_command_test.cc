// SPDX-License-Identifier: Apache-2.0
#include "cli/inspect_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>
#include <string>

#include "nlohmann/json.hpp"

#include "tests/testing/reference_pairs.h"
#include "tests/testing/safetensors_writer.h"
#include "tests/testing/stored_forms.h"
#include "tests/testing/temp_folder.h"
#include "tests/testing/tiny_model.h"

namespace tailor {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using testing::TempFolder;

struct Result {
  int exit_code = -1;
  std::string out;
  std::string error;
};

Result RunInspect(const std::filesystem::path& folder, bool as_json = false, bool verify = false) {
  std::ostringstream out;
  std::ostringstream error;
  const int exit_code = Inspect(folder, {.as_json = as_json, .verify = verify}, out, error);
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
  ASSERT_EQ(table.size(), 6u) << result.out;
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
  EXPECT_THAT(table[5], MatchesRegex("backends: cpu \\([a-z0-9_]+\\), reference, cuda \\(.*"
                                     "experimental: never run on a GPU\\)"));
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

TEST_F(InspectTest, VerifiesReferenceScores) {
  testing::WriteReferencePairs(temp_.path(), 30);
  testing::AddReference(temp_.path(), "big", 1e-3);
  const Result good = RunInspect(temp_.path(), /*as_json=*/false, /*verify=*/true);
  EXPECT_EQ(good.exit_code, 0) << good.out;
  EXPECT_THAT(good.out, HasSubstr("\nbig       ok       30 pairs, largest difference "));
  EXPECT_THAT(good.out, HasSubstr("\nsmall     -        no reference scores\n"));

  testing::AddReference(temp_.path(), "small", 1e-3, /*shift=*/0.5);
  const Result bad = RunInspect(temp_.path(), /*as_json=*/false, /*verify=*/true);
  EXPECT_EQ(bad.exit_code, 1);
  EXPECT_THAT(bad.out, HasSubstr("\nsmall     failed   30 pairs, largest difference 5.0e-01"));
  const Result json = RunInspect(temp_.path(), /*as_json=*/true, /*verify=*/true);
  EXPECT_EQ(json.exit_code, 1);
  const nlohmann::json report = nlohmann::json::parse(json.out);
  EXPECT_EQ(report["verified"][0]["ok"], true);
  EXPECT_EQ(report["verified"][1]["ok"], nullptr);
  EXPECT_EQ(report["verified"][2]["ok"], false);
  EXPECT_EQ(report["verified"][2]["pairs"], 30);
}

TEST_F(InspectTest, ShowsWhereASubNetworkComesFrom) {
  nlohmann::json manifest = testing::TinyManifest({.id = "big", .num_layers = 3});
  manifest["elastic"] = {{"widths", {{{"width", 0.5}, {"heads", 2}, {"ffn_dim", 32}}}},
                         {"depths", {{{"depth", 0.67}, {"layers", {0, 2}}}}}};
  testing::WriteFile(temp_.path() / "big" / "variant.json", manifest.dump());
  testing::WriteDerived(
      temp_.path() / "half", "half", "tiny",
      {{"parent", "big"}, {"sub_network", {{"width", 0.5}, {"depth", 0.67}}}, {"format", "int8"}});
  const Result result = RunInspect(temp_.path());
  EXPECT_EQ(result.exit_code, 0) << result.out;
  EXPECT_THAT(result.out, HasSubstr("  int8  big 0.5x0.67  "));
  EXPECT_THAT(result.out,
              HasSubstr("elastic big: widths 0.5 x depths 0.67, 1 sub-networks; variants: half\n"));
  const nlohmann::json report = nlohmann::json::parse(RunInspect(temp_.path(), true).out);
  EXPECT_EQ(report["variants"][0]["id"], "half");
  EXPECT_EQ(report["variants"][0]["sub_network"]["depth"], 0.67);
  EXPECT_EQ(report["variants"][0]["layers"], 2);
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
