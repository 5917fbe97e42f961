// SPDX-License-Identifier: Apache-2.0
// Linear variants: what loads, and what is refused with which words.
#include "engine/model/linear_files.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "engine/model/family_folder.h"
#include "engine/model/model_package.h"
#include "tests/testing/temp_folder.h"
#include "tests/testing/tiny_linear.h"
#include "tests/testing/tiny_model.h"

namespace tailor {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using testing::TinyLinearOptions;

class LinearFilesTest : public ::testing::Test {
 protected:
  void SetUp() override { testing::WriteTinyLinear(folder_.path() / "linear", {}); }

  absl::StatusOr<ModelPackage> Load() { return LoadModelPackage(folder_.path() / "linear"); }

  std::string Problem() {
    const auto package = Load();
    return package.ok() ? "loaded" : std::string(package.status().message());
  }

  // Problem() when `arch` of variant.json says something else.
  std::string ProblemOfArch(const std::string& key, const json& value) {
    json manifest = testing::TinyLinearManifest({});
    manifest["arch"][key] = value;
    testing::WriteFile(folder_.path() / "linear/variant.json", manifest.dump());
    return Problem();
  }

  std::string ProblemOf(const testing::TensorMap& tensors) {
    testing::WriteFile(folder_.path() / "linear/model.safetensors",
                       testing::SerializeSafetensors(tensors));
    return Problem();
  }

  testing::TempFolder folder_;
};

TEST_F(LinearFilesTest, HasTensorsAndNoLayers) {
  const auto package = Load();
  ASSERT_TRUE(package.ok()) << package.status();
  ASSERT_TRUE(package->linear.has_value());
  EXPECT_EQ(package->linear->spec.bits, 8);
  EXPECT_EQ(package->linear->spec.hash_seed, 7U);
  EXPECT_EQ(package->linear->spec.average_length, 12.5);
  EXPECT_EQ(package->linear->hashed.num_elements(), 256U);
  const auto vocabulary = static_cast<int64_t>(package->tokenizer.vocabulary.size());
  EXPECT_EQ(package->config.vocab_size, vocabulary);
  EXPECT_EQ(package->num_parameters, 16 + 256 + vocabulary);
  EXPECT_EQ(package->weight_bytes, 4 * 16 + 2 * (256 + vocabulary));
  EXPECT_TRUE(package->config.layers.empty());
  EXPECT_EQ(package->config.head.num_outputs, 1);
  EXPECT_EQ(package->task.max_tokens, 64);
  EXPECT_EQ(package->task.activation, OutputActivation::kNone);
}

TEST_F(LinearFilesTest, RefusesAnArchThatItCannotCompute) {
  EXPECT_THAT(ProblemOfArch("features", 2), HasSubstr("arch.features: expected"));
  EXPECT_THAT(ProblemOfArch("features", nullptr), HasSubstr("features"));
  EXPECT_THAT(ProblemOfArch("bits", 25), HasSubstr("arch.bits: expected"));
  EXPECT_THAT(ProblemOfArch("hash_seed", 0.5), HasSubstr("expected an integer"));
  EXPECT_THAT(ProblemOfArch("hash_seed", 4294967296), HasSubstr("arch.hash_seed: expected"));
  EXPECT_THAT(ProblemOfArch("average_length", 0), HasSubstr("arch.average_length: expected"));
  EXPECT_THAT(ProblemOfArch("hidden", 8), HasSubstr("hidden"));
}

TEST_F(LinearFilesTest, RefusesWhatBelongsToAnEncoder) {
  json manifest = testing::TinyLinearManifest({});
  manifest["layers"] = json::array({json::object()});
  testing::WriteFile(folder_.path() / "linear/variant.json", manifest.dump());
  EXPECT_THAT(Problem(), HasSubstr("layers: expected nothing of a linear variant"));
  testing::WriteTinyLinear(folder_.path() / "linear", {});
  testing::WriteFile(folder_.path() / "linear/config.json", "{}");
  EXPECT_THAT(Problem(), HasSubstr("expected no config.json beside a linear variant"));
}

TEST_F(LinearFilesTest, RefusesOtherTensors) {
  testing::TensorMap tensors = testing::TinyLinearTensors({});
  tensors.erase("linear.idf");
  EXPECT_THAT(ProblemOf(tensors), HasSubstr("linear.idf: expected this tensor, got none"));
  tensors = testing::TinyLinearTensors({});
  tensors["more"] = tensors["linear.idf"];
  EXPECT_THAT(ProblemOf(tensors), HasSubstr("expected the 3 tensors of a linear variant, got 4"));
  tensors = testing::TinyLinearTensors({.bits = 9});
  EXPECT_THAT(ProblemOf(tensors),
              HasSubstr("linear.hashed.weight: expected shape [256], got [512]"));
  tensors = testing::TinyLinearTensors({});
  const std::vector<float> codes(16, 1);
  tensors["linear.dense.weight"] = testing::MakeTensor(DType::kI8, {16}, codes);
  EXPECT_THAT(ProblemOf(tensors), HasSubstr("expected F32, F16 or BF16, got I8"));
  tensors = testing::TinyLinearTensors({});
  std::vector<float> idf(testing::TinyVocabulary().size(), 1);
  idf[3] = -0.5F;
  tensors["linear.idf"] = testing::MakeTensor(DType::kF32, {static_cast<int64_t>(idf.size())}, idf);
  EXPECT_THAT(ProblemOf(tensors), HasSubstr("expected numbers of at least 0, got -0.5"));
}

TEST_F(LinearFilesTest, NothingIsDerivedFromIt) {
  testing::WriteDerivedVariant(folder_.path() / "half", "half", "tiny", "linear", "bf16");
  const auto family = LoadFamilyFolder(folder_.path());
  ASSERT_TRUE(family.ok()) << family.status();
  ASSERT_EQ(family->problems.size(), 1U);
  EXPECT_THAT(std::string(family->problems[0].status.message()),
              HasSubstr("derive.parent: expected a variant with layers, got linear"));
}

}  // namespace
}  // namespace tailor
