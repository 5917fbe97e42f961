// SPDX-License-Identifier: Apache-2.0
#include "cli/score_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"

#include "tests/testing/reference_pairs.h"
#include "tests/testing/temp_folder.h"
#include "tests/testing/tiny_model.h"

namespace tailor {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;
using testing::TempFolder;

class ScoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    testing::WriteTinyModel(temp_.path() / "small", {.id = "small", .num_layers = 1});
    testing::WriteReferencePairs(temp_.path(), 40);
    testing::AddReference(temp_.path(), "small", 1e-4);
  }

  absl::Status Score(const std::string& lines, const std::string& variant = "small") {
    std::istringstream in(lines);
    std::ostringstream out;
    const absl::Status status = ScoreLists(
        {.family = temp_.path(), .variant = variant, .backend = {.threads = 1}}, in, out);
    written_.clear();
    std::istringstream written(out.str());
    for (std::string line; std::getline(written, line);) {
      written_.push_back(nlohmann::json::parse(line)["scores"]);
    }
    return status;
  }

  TempFolder temp_;
  std::vector<std::vector<float>> written_;  // by line
};

TEST_F(ScoreTest, GivesTheReferenceScoresListByList) {
  std::ifstream pairs(temp_.path() / "reference_pairs.jsonl");
  std::ifstream manifest(temp_.path() / "small" / "variant.json");
  const nlohmann::json expected = nlohmann::json::parse(manifest)["reference"]["scores"];
  std::string lines;
  for (std::string line; std::getline(pairs, line);) {
    const nlohmann::json pair = nlohmann::json::parse(line);
    lines += nlohmann::json{{"query", pair["query"]}, {"documents", {pair["document"]}}}.dump();
    lines += "\n";
  }
  ASSERT_TRUE(Score(lines).ok());
  ASSERT_THAT(written_, SizeIs(40));
  for (size_t i = 0; i < written_.size(); ++i) {
    ASSERT_THAT(written_[i], SizeIs(1));
    EXPECT_NEAR(written_[i][0], expected[i].get<float>(), 1e-4) << "pair " << i;
  }
}

TEST_F(ScoreTest, ListsOfAnySizeKeepTheirPlaces) {
  const std::string list =
      R"({"query": "a b", "documents": ["c", "d e", "f g h"], "labels": [1, 0, 0]})";
  const std::string empty = R"({"query": "a b", "documents": []})";
  const std::string last = R"({"query": "a b", "documents": ["f g h"]})";
  ASSERT_TRUE(Score(list + "\n" + empty + "\n" + last + "\n").ok());
  ASSERT_THAT(written_, SizeIs(3));
  ASSERT_THAT(written_[0], SizeIs(3));
  EXPECT_THAT(written_[1], SizeIs(0));
  ASSERT_THAT(written_[2], SizeIs(1));
  // A score does not depend on its batch mates.
  EXPECT_NEAR(written_[2][0], written_[0][2], 1e-5);
}

TEST_F(ScoreTest, NamesTheLineThatIsWrong) {
  const std::string good = R"({"query": "a", "documents": ["b"]})";
  for (const char* bad :
       {"{", R"({"query": "a"})", R"({"query": "a", "documents": "b"})",
        R"({"query": "a", "documents": [1]})", R"({"query": "a", "document": ["b"]})"}) {
    const absl::Status status = Score(good + "\n" + bad + "\n");
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << bad;
    EXPECT_THAT(std::string(status.message()), HasSubstr("line 2")) << bad;
  }
}

TEST_F(ScoreTest, NamesTheNearestVariant) {
  const absl::Status status = Score("", "smal");
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("did you mean \"small\"?"));
}

TEST_F(ScoreTest, IsACommand) {
  testing::WriteFile(temp_.path() / "lists", R"({"query": "a", "documents": ["b", "c"]})"
                                             "\n");
  CLI::App app;
  int exit_code = -1;
  AddScoreCommand(app, &exit_code);
  ::testing::internal::CaptureStdout();
  app.parse("score --family " + temp_.path().string() + " --variant small --lists " +
            (temp_.path() / "lists").string());
  EXPECT_THAT(::testing::internal::GetCapturedStdout(), ::testing::StartsWith("{\"scores\": ["));
  EXPECT_EQ(exit_code, 0);
}

}  // namespace
}  // namespace tailor
