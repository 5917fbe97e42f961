// SPDX-License-Identifier: Apache-2.0
// Which variants of a family a server takes: those that reproduce their reference scores.
#include "server/variant_loading.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "server/pipeline/refusal.h"
#include "tests/testing/fake_backend.h"
#include "tests/testing/reference_pairs.h"
#include "tests/testing/safetensors_writer.h"
#include "tests/testing/stored_forms.h"
#include "tests/testing/temp_folder.h"
#include "tests/testing/tiny_model.h"

namespace tailor {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class VariantLoadingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    testing::WriteTinyModel(temp_.path() / "big", {.id = "big"});
    testing::WriteTinyModel(temp_.path() / "small", {.id = "small", .num_layers = 1});
    testing::WriteReferencePairs(temp_.path(), 20);
    testing::AddReference(temp_.path(), "big", 1e-4);
    config_.family = temp_.path().string();
    config_.device = "reference";
    config_.log_level = "error";
  }

  LoadedFamily Load() const {
    absl::StatusOr<LoadedFamily> family = LoadFamily(config_);
    EXPECT_TRUE(family.ok()) << family.status();
    return *std::move(family);
  }

  static std::vector<std::string> Ids(const LoadedFamily& family) {
    std::vector<std::string> ids;
    for (const ServedVariant& variant : family.variants) ids.push_back(variant.id);
    return ids;
  }

  // "big" is refused in one line that says `text`, and "small" serves.
  void ExpectRefused(const std::string& text) const {
    const LoadedFamily family = Load();
    EXPECT_THAT(Ids(family), ElementsAre("small"));
    ASSERT_EQ(family.refused.size(), 1u);
    EXPECT_EQ(family.refused[0].id, "big");
    EXPECT_THAT(family.refused[0].problem, HasSubstr(text));
    EXPECT_EQ(family.refused[0].problem.find('\n'), std::string::npos);
  }

  testing::TempFolder temp_;
  ServerConfig config_;
  int runs_ = 0;
};

TEST_F(VariantLoadingTest, TakesVariantsThatReproduceTheirScores) {
  testing::WriteDerived(temp_.path() / "big-int8", "big-int8", "tiny",
                        {{"parent", "big"}, {"format", "int8"}});
  testing::AddReference(temp_.path(), "big-int8", 1e-4);
  const LoadedFamily family = Load();
  EXPECT_THAT(Ids(family), ElementsAre("big", "big-int8", "small"));
  EXPECT_THAT(family.refused, IsEmpty());
  EXPECT_EQ(family.variants[1].format, WeightFormat::kInt8);
}

TEST_F(VariantLoadingTest, RefusesOneWithAChangedWeight) {
  testing::TensorMap tensors = testing::TinyTensors({.id = "big"});
  testing::ScaleColumns("classifier", std::vector<float>(32, 1.01F), &tensors);
  testing::WriteWeights(temp_.path() / "big", tensors, false);
  ExpectRefused("reference: expected scores within 0.0001, got a difference of ");
  config_.verify_variants = false;
  EXPECT_THAT(Ids(Load()), ElementsAre("big", "small"));
}

TEST_F(VariantLoadingTest, RefusesOneWhosePairsAreNotThere) {
  std::filesystem::remove(temp_.path() / "reference_pairs.jsonl");
  ExpectRefused("reference.inputs_file: reference_pairs.jsonl: expected a file or folder");
}

TEST_F(VariantLoadingTest, RefusesOneWhosePairsAreOthers) {
  testing::WriteReferencePairs(temp_.path(), 19);
  ExpectRefused("reference: expected reference_pairs.jsonl with sha256 ");
}

TEST_F(VariantLoadingTest, RefusesBrokenLines) {
  testing::WriteFile(temp_.path() / "reference_pairs.jsonl",
                     "{\"query\": \"a\", \"document\": \"b\"}\n{\"query\": 1}\n");
  ExpectRefused("reference_pairs.jsonl:2.document: expected a value, got nothing");
}

TEST_F(VariantLoadingTest, ALostDeviceIsNoVariantsFault) {
  testing::AddReference(temp_.path(), "small", 1e-4);
  const absl::StatusOr<LoadedFamily> family = LoadFamily(
      config_, [&](const BackendOptions& options) -> absl::StatusOr<std::unique_ptr<Backend>> {
        auto backend =
            std::make_unique<FakeBackend>(std::vector<FakeCost>(2), options.limits, nullptr);
        backend->LoseDevice();
        backend->set_on_run([this] { ++runs_; });
        return backend;
      });
  EXPECT_EQ(GetRefusal(family.status()).refusal, Refusal::kDeviceLost);
  EXPECT_EQ(family.status().message(), "injected loss");
  EXPECT_EQ(runs_, 1);
}

TEST_F(VariantLoadingTest, FindsThePairsBesideASingleVariant) {
  config_.family = (temp_.path() / "big").string();
  const LoadedFamily family = Load();
  EXPECT_THAT(Ids(family), ElementsAre("big"));
}

}  // namespace
}  // namespace tailor
