// SPDX-License-Identifier: Apache-2.0
#include "server/cost_file.h"

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/testing/temp_folder.h"

namespace tailor {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const CostHost kHost{
    .cpu = "6/143/a", .device = "cpu", .isa = "amx", .threads = 2, .version = "1.2.3"};
constexpr CostCoefficients kCost{
    .fixed = 1.25e-4, .per_token = 1.0 / 3e6, .per_square = 0, .per_row = 7e-7};

std::vector<ServedVariant> Served() {
  std::vector<ServedVariant> served(2);
  served[0].id = "large";
  served[0].num_layers = 4;
  served[0].loaded.kernels = {"attention.qkv 96x32: tiles"};
  served[1].id = "small";
  return served;
}

class CostFileTest : public ::testing::Test {
 protected:
  std::filesystem::path path() const { return folder_.path() / "costs.json"; }

  void WriteText(const std::string& text) const { std::ofstream(path()) << text; }
  std::string Text() const {
    std::ifstream file(path());
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void Replace(const std::string& before, const std::string& after) const {
    std::string text = Text();
    const size_t at = text.find(before);
    ASSERT_NE(at, std::string::npos) << before << " in " << text;
    WriteText(text.replace(at, before.size(), after));
  }

  // The one line that a file is ignored with.
  std::string Problem(const CostHost& host = kHost) const {
    const auto known = ReadCostFile(path(), host);
    EXPECT_EQ(known.status().code(), absl::StatusCode::kInvalidArgument) << known.status();
    const std::string line(known.status().message());
    EXPECT_THAT(line, HasSubstr("costs.json"));
    EXPECT_THAT(line, Not(HasSubstr("\n")));
    return line;
  }

  void WriteGood() const {
    const std::vector<ServedVariant> served = Served();
    const KnownCost known{.id = "large", .fingerprint = CostFingerprint(served[0]), .cost = kCost};
    ASSERT_TRUE(WriteCostFile(path(), kHost, std::vector<KnownCost>{known}).ok());
  }

  testing::TempFolder folder_;
};

TEST_F(CostFileTest, WhatIsWrittenIsReadBitForBit) {
  WriteGood();
  EXPECT_FALSE(std::filesystem::exists(path().string() + ".new"));
  const auto known = ReadCostFile(path(), kHost);
  ASSERT_TRUE(known.ok()) << known.status();
  std::vector<ServedVariant> served = Served();
  EXPECT_EQ(SetPriors(*known, served), 1);
  ASSERT_TRUE(served[0].prior.has_value());
  EXPECT_EQ(served[0].prior->fixed, kCost.fixed);
  EXPECT_EQ(served[0].prior->per_token, kCost.per_token);
  EXPECT_EQ(served[0].prior->per_square, kCost.per_square);
  EXPECT_EQ(served[0].prior->per_row, kCost.per_row);
  EXPECT_EQ(served[0].prior->ratio, 1);
  EXPECT_FALSE(served[1].prior.has_value());
}

TEST_F(CostFileTest, AChangedVariantIsNotKnown) {
  WriteGood();
  const auto known = ReadCostFile(path(), kHost);
  ASSERT_TRUE(known.ok());
  std::vector<ServedVariant> served = Served();
  served[0].loaded.kernels = {"attention.qkv 96x32: portable"};
  EXPECT_EQ(SetPriors(*known, served), 0);
  EXPECT_FALSE(served[0].prior.has_value());
}

TEST_F(CostFileTest, NoFileIsNoProblem) {
  EXPECT_EQ(ReadCostFile(path(), kHost).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(CostFileTest, AnotherHostIsSaidInOneLine) {
  WriteGood();
  CostHost other = kHost;
  other.cpu = "6/207/b";
  EXPECT_THAT(Problem(other), HasSubstr(R"(host.cpu: expected "6/207/b", got "6/143/a")"));
  other = kHost;
  other.threads = 8;
  EXPECT_THAT(Problem(other), HasSubstr("host.threads: expected 8, got 2"));
  other = kHost;
  other.isa = "avx2";
  EXPECT_THAT(Problem(other), HasSubstr(R"(host.isa: expected "avx2", got "amx")"));
  other = kHost;
  other.version = "1.2.4";
  EXPECT_THAT(Problem(other), HasSubstr(R"(host.tailor: expected "1.2.4", got "1.2.3")"));
}

TEST_F(CostFileTest, MalformedFilesAreSaidInOneLine) {
  WriteText("");
  EXPECT_THAT(Problem(), HasSubstr("expected a readable file of 1 to"));
  WriteText("{\"version\": 1, ");
  EXPECT_THAT(Problem(), HasSubstr("expected JSON"));
  WriteText("[]");
  EXPECT_THAT(Problem(), HasSubstr("expected an object"));
  WriteGood();
  Replace("\"version\": 1", "\"version\": 2");
  EXPECT_THAT(Problem(), HasSubstr("version: expected an integer in [1, 1], got 2"));
  WriteGood();
  Replace("\"host\"", "\"ghost\"");
  EXPECT_THAT(Problem(), HasSubstr("host: expected a value, got nothing"));
  WriteGood();
  Replace("\"per_square_s\": 0.0", "\"per_square_s\": -1.0");
  EXPECT_THAT(Problem(), HasSubstr("variants[0].per_square_s: expected a number in"));
  WriteGood();
  Replace("\"per_row_s\"", "\"rows\"");
  EXPECT_THAT(Problem(), HasSubstr("variants[0].per_row_s: expected a value, got nothing"));
}

TEST_F(CostFileTest, OnlyAWritablePathIsTaken) {
  WriteGood();
  const std::string before = Text();
  EXPECT_TRUE(CheckCostFile(path()).ok());
  EXPECT_EQ(Text(), before);
  for (const std::filesystem::path& bad :
       {folder_.path(), folder_.path() / "none" / "costs.json"}) {
    EXPECT_EQ(CheckCostFile(bad).code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(WriteCostFile(bad, kHost, {}).code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(CheckCostFile(bad).message(),
              "cost-file: expected a writable path, got " + bad.string());
  }
}

TEST(CpuNameFrom, TellsTheFirstProcessor) {
  EXPECT_EQ(CpuNameFrom("processor\t: 0\nvendor_id : X\ncpu family\t: 6\nmodel\t\t: 143\n"
                        "model name\t: Some CPU @ 2.7: fast\nstepping : 8\n\nprocessor : 1\n"
                        "cpu family : 7\n"),
            "6/143/Some CPU @ 2.7: fast/8");
  EXPECT_EQ(CpuNameFrom("processor : 0\nCPU implementer : 0x41\nCPU part : 0xd40\n"), "0x41/0xd40");
  EXPECT_EQ(CpuNameFrom(""), "unknown");
}

// What was served tells more than a quarter of a second of warm-up, once it is enough.
TEST(CostsToKeep, FollowTheBatchesThatWereServed) {
  RecorderOptions options;
  for (const char* id : {"large", "small"}) options.variants.push_back({.id = id});
  Recorder recorder(options);
  for (int i = 0; i < kMinSteadyBatches; ++i) {
    recorder.RecordBatch({.variant = 0,
                          .pairs = 1,
                          .tokens = 10,
                          .engine_seconds = 0.015,
                          .predicted_seconds = 0.015,
                          .modeled_seconds = 0.010});
    if (i % 2 != 0) continue;
    recorder.RecordBatch({.variant = 1,
                          .pairs = 1,
                          .tokens = 10,
                          .engine_seconds = 0.004,
                          .predicted_seconds = 0.004,
                          .modeled_seconds = 0.002});
  }
  const std::vector<CostCoefficients> fitted = {{.fixed = 0.01, .ratio = 1.4},
                                                {.fixed = 0.002, .ratio = 1.4}};
  const std::vector<KnownCost> kept = CostsToKeep(Served(), fitted, recorder);
  ASSERT_EQ(kept.size(), 2U);
  EXPECT_EQ(kept[0].id, "large");
  EXPECT_NEAR(kept[0].cost.fixed, 0.015, 1e-12);
  EXPECT_EQ(kept[0].cost.ratio, 1);
  EXPECT_EQ(kept[1].cost.fixed, 0.002);  // too few batches
}

TEST(CostsToKeep, LeavesOutWhatWasNeverMeasured) {
  RecorderOptions options;
  for (const char* id : {"large", "small"}) options.variants.push_back({.id = id});
  const Recorder recorder(options);
  const std::vector<CostCoefficients> fitted = {{}, {.per_token = 1e-6}};
  const std::vector<KnownCost> kept = CostsToKeep(Served(), fitted, recorder);
  ASSERT_EQ(kept.size(), 1U);
  EXPECT_EQ(kept[0].id, "small");
}

}  // namespace
}  // namespace tailor
