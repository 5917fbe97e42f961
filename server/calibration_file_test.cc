// SPDX-License-Identifier: Apache-2.0
#include "server/calibration_file.h"

#include <fstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/testing/temp_folder.h"

namespace tailor {
namespace {

using ::testing::HasSubstr;

constexpr char kGood[] = R"({
  "version": 1, "reference": "best", "measured_on": {"n": 10},
  "variants": [
    {"id": "best", "ndcg10": 0.9, "knots": [[-5, -5], [5, 5]]},
    {"id": "quick", "ndcg10": 0.7, "knots": [[-2, -4], [0, 0], [2, 4]]},
    {"id": "elsewhere", "ndcg10": 0.6, "knots": [[0, 0], [1, 1]]}],
  "pairs": [
    {"first": "quick", "second": "best", "points": [[0.25, 0.8], [0.5, 0.88]]},
    {"first": "elsewhere", "second": "best", "points": [[0.5, 0.7]]}]})";

std::vector<ServedVariant> Served() {
  std::vector<ServedVariant> served(2);
  served[0].id = "quick";
  served[1].id = "best";
  for (ServedVariant& variant : served) variant.loaded.num_outputs = 1;
  return served;
}

absl::StatusOr<FamilyCalibration> Read(const std::string& text,
                                       const std::vector<ServedVariant>& served = Served()) {
  const testing::TempFolder folder;
  std::ofstream(folder.path() / kCalibrationFile) << text;
  return ReadCalibration(folder.path(), served);
}

std::string With(const std::string& before, const std::string& after) {
  std::string text = kGood;
  const size_t at = text.find(before);
  EXPECT_NE(at, std::string::npos) << before;
  return text.replace(at, before.size(), after);
}

TEST(Calibration, IsReadForTheVariantsThatAreServed) {
  const auto calibration = Read(kGood);
  ASSERT_TRUE(calibration.ok()) << calibration.status();
  const std::shared_ptr<const CascadeTable>& table = calibration->cascades;
  ASSERT_NE(table, nullptr);
  EXPECT_EQ(table->num_pairs(), 1U);
  EXPECT_FLOAT_EQ(table->Calibrated(0, 1), 2);
  EXPECT_FLOAT_EQ(table->Calibrated(1, 1), 1);
  EXPECT_DOUBLE_EQ(table->Quality(0, 1, 0), 0.7);
  EXPECT_DOUBLE_EQ(table->Quality(0, 1, 0.25), 0.8);
  EXPECT_DOUBLE_EQ(table->Quality(0, 1, 0.75), 0.89);
}

TEST(Calibration, WithoutFileOrPairsThereAreNoCascades) {
  const testing::TempFolder folder;
  const auto none = ReadCalibration(folder.path(), Served());
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_EQ(none->cascades, nullptr);
  EXPECT_LT(none->agreement.reference, 0);
  std::vector<ServedVariant> served = Served();
  served.resize(1);
  EXPECT_EQ(Read(kGood, served)->cascades, nullptr);
}

// Scores that are vectors or classes cannot be compared by one map.
TEST(Calibration, OnlyForVariantsWithOneScore) {
  std::vector<ServedVariant> served = Served();
  served[1].loaded.num_outputs = 2;
  EXPECT_EQ(Read(kGood, served)->cascades, nullptr);
}

// Those of the variants whose file says it, when the reference is served.
TEST(Calibration, HoldsTheAgreementWithTheReference) {
  const std::string text = With("\"id\": \"quick\", \"ndcg10\": 0.7",
                                "\"id\": \"quick\", \"kendall_tau\": 0.6, \"ndcg10\": 0.7");
  const auto calibration = Read(text);
  ASSERT_TRUE(calibration.ok()) << calibration.status();
  const AgreementTable& agreement = calibration->agreement;
  EXPECT_EQ(agreement.reference, 1);
  EXPECT_DOUBLE_EQ(agreement.reference_quality, 0.9);
  ASSERT_EQ(agreement.variants.size(), 2U);
  ASSERT_TRUE(agreement.variants[0].has_value());
  EXPECT_DOUBLE_EQ(agreement.variants[0]->kendall_tau, 0.6);
  EXPECT_DOUBLE_EQ(agreement.variants[0]->quality, 0.7);
  EXPECT_FALSE(agreement.variants[1].has_value());
  std::vector<ServedVariant> served = Served();
  served[1].id = "another";
  EXPECT_LT(Read(text, served)->agreement.reference, 0);
}

TEST(Calibration, BadFilesAreRefusedInOneLine) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"[]", "expected an object"},
      {"{", "calibration.json"},
      {With("\"version\": 1", "\"version\": 2"), "version"},
      {With("\"version\": 1,", "\"version\": 1, \"more\": 1,"), "more"},
      {With("\"ndcg10\": 0.9", "\"ndcg10\": 1.9"), "variants[0]"},
      {With("\"ndcg10\": 0.9", "\"ndcg10\": 0.9, \"kendall_tau\": 2"), "variants[0].kendall_tau"},
      {With("[[-5, -5], [5, 5]]", "[[5, -5], [-5, 5]]"), "variants[0].knots: expected 2 to 1024"},
      {With("[[-5, -5], [5, 5]]", "[[-5, 5], [5, -5]]"), "values never falling"},
      {With("[[-5, -5], [5, 5]]", "[[-5, -5]]"), "variants[0].knots"},
      {With("[[-5, -5], [5, 5]]", "[[-5, null], [5, 5]]"), "variants[0].knots"},
      {With("[0.5, 0.88]", "[1.5, 0.88]"), "pairs[0].points: expected 1 to 1024"},
      {With("\"first\": \"quick\"", "\"first\": 7"), "pairs[0].first"},
      {With("{\"first\": \"quick\", \"second\": \"best\", \"points\": [[0.25, 0.8], [0.5, 0.88]]}",
            "3"),
       "pairs[0]: expected an object"},
  };
  for (const auto& [text, expected] : cases) {
    const auto table = Read(text);
    ASSERT_FALSE(table.ok()) << text;
    EXPECT_THAT(std::string(table.status().message()), HasSubstr(expected)) << text;
    EXPECT_EQ(table.status().message().find('\n'), std::string::npos);
  }
}

}  // namespace
}  // namespace tailor
