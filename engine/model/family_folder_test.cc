// SPDX-License-Identifier: Apache-2.0
#include "engine/model/family_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <optional>
#include <string>

#include "tests/testing/safetensors_writer.h"
#include "tests/testing/stored_forms.h"
#include "tests/testing/temp_folder.h"
#include "tests/testing/tiny_model.h"

namespace tailor {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::TempFolder;
using testing::TinyModelOptions;
using testing::WriteDerivedVariant;
using testing::WriteFile;
using testing::WriteTinyModel;

std::vector<std::string> Ids(const FamilyFolder& family) {
  std::vector<std::string> ids;
  for (const ModelPackage& variant : family.variants) ids.push_back(variant.id);
  return ids;
}

// The family loads, and has exactly one problem: that of `name`, which says `text` in one line.
void ExpectProblem(const TempFolder& temp, const std::string& name, const std::string& text) {
  const auto family = LoadFamilyFolder(temp.path());
  ASSERT_TRUE(family.ok()) << family.status();
  ASSERT_EQ(family->problems.size(), 1u);
  EXPECT_EQ(family->problems[0].name, name);
  const std::string message(family->problems[0].status.message());
  EXPECT_THAT(message, HasSubstr(text));
  EXPECT_EQ(message.find('\n'), std::string::npos);
  EXPECT_FALSE(family->variants.empty());
}

class FamilyFolderTest : public ::testing::Test {
 protected:
  // Two good variants, so that there is a majority.
  void SetUp() override {
    WriteTinyModel(temp_.path() / "big", {.id = "big"});
    WriteTinyModel(temp_.path() / "small", {.id = "small", .num_layers = 1});
  }
  TempFolder temp_;
};

TEST_F(FamilyFolderTest, LoadsVariantsAndDerivedOnes) {
  const Quality quality = {
      .ndcg10 = 0.7, .ci_low = 0.6, .ci_high = 0.8, .num_queries = 9, .dataset_id = "set-b"};
  WriteDerivedVariant(temp_.path() / "big-bf16", "big-bf16", "tiny", "big", "bf16", quality);
  WriteFile(temp_.path() / "README.md", "text");
  std::filesystem::create_directories(temp_.path() / "logs");
  std::filesystem::create_directories(temp_.path() / ".git");
  const auto family = LoadFamilyFolder(temp_.path());
  ASSERT_TRUE(family.ok()) << family.status();
  EXPECT_EQ(family->id, "tiny");
  EXPECT_TRUE(family->problems.empty()) << family->problems[0].status;
  ASSERT_THAT(Ids(*family), ElementsAre("big", "big-bf16", "small"));
  const ModelPackage& derived = family->variants[1];
  EXPECT_EQ(derived.format, WeightFormat::kBf16);
  EXPECT_EQ(derived.parent, "big");
  EXPECT_EQ(derived.quality->ndcg10, 0.7);
  EXPECT_EQ(derived.storage, family->variants[0].storage);
  EXPECT_EQ(derived.weights.word_embeddings.data, family->variants[0].weights.word_embeddings.data);
}

TEST_F(FamilyFolderTest, PlainFolderIsAFamilyOfOne) {
  WriteTinyModel(temp_.path() / "My_Model v2", {});
  const auto family = LoadFamilyFolder(temp_.path() / "My_Model v2");
  ASSERT_TRUE(family.ok()) << family.status();
  EXPECT_THAT(Ids(*family), ElementsAre("my_model-v2"));
  EXPECT_EQ(family->id, "my_model-v2");
}

TEST_F(FamilyFolderTest, PlainVariantJoinsWhenItsTokenizerIsTheFamilys) {
  WriteTinyModel(temp_.path() / "plain", {});
  const auto family = LoadFamilyFolder(temp_.path());
  ASSERT_TRUE(family.ok()) << family.status();
  EXPECT_THAT(Ids(*family), ElementsAre("big", "plain", "small"));
}

TEST_F(FamilyFolderTest, RefusesOtherTokenizer) {
  std::vector<std::string> vocabulary = testing::TinyVocabulary();
  vocabulary.push_back("more");
  WriteTinyModel(temp_.path() / "alien", {.id = "alien", .vocabulary = vocabulary});
  ExpectProblem(temp_, "alien", "tokenizer: expected the family's (vocabulary ");
}

TEST_F(FamilyFolderTest, RefusesOtherTokenizerOptions) {
  WriteTinyModel(temp_.path() / "cased", {.id = "cased"});
  WriteFile(temp_.path() / "cased" / "tokenizer_config.json", R"({"do_lower_case": false})");
  ExpectProblem(temp_, "cased", "cased, accents kept");
}

TEST_F(FamilyFolderTest, RefusesOtherFamily) {
  WriteTinyModel(temp_.path() / "a-stranger", {.id = "a-stranger", .family = "others"});
  ExpectProblem(temp_, "a-stranger", "family: expected \"tiny\" as most have, got \"others\"");
}

TEST_F(FamilyFolderTest, RefusesDuplicateId) {
  WriteTinyModel(temp_.path() / "copy", {.id = "big"});
  ExpectProblem(temp_, "copy", "got \"big\", which folder big has");
}

TEST_F(FamilyFolderTest, RefusesDerivedWithoutParent) {
  WriteDerivedVariant(temp_.path() / "orphan", "orphan", "tiny", "huge", "bf16");
  ExpectProblem(temp_, "orphan", "derive.parent: expected a variant of this family");
}

TEST_F(FamilyFolderTest, RefusesDerivedOfDerived) {
  WriteDerivedVariant(temp_.path() / "d1", "d1", "tiny", "big", "bf16");
  WriteDerivedVariant(temp_.path() / "d2", "d2", "tiny", "d1", "bf16");
  ExpectProblem(temp_, "d2", "got \"d1\"");
}

class BadDeriveTest : public FamilyFolderTest {
 protected:
  void ExpectDeriveProblem(const nlohmann::json& derive, const std::string& text) {
    testing::WriteDerived(temp_.path() / "derived", "derived", "tiny", derive);
    ExpectProblem(temp_, "derived", text);
  }

  void WriteElastic() {
    nlohmann::json manifest = testing::TinyManifest({.id = "big"});
    manifest["elastic"] = {{"widths",
                            {{{"width", 1.0}, {"heads", 4}, {"ffn_dim", 64}},
                             {{"width", 0.5}, {"heads", 2}, {"ffn_dim", 32}}}},
                           {"depths", {{{"depth", 1.0}, {"layers", {0, 1}}}}}};
    WriteFile(temp_.path() / "big" / "variant.json", manifest.dump());
  }

  void WriteMasks(size_t layers, size_t heads, size_t neurons) {
    testing::WriteMasks(temp_.path() / "derived",
                        std::vector<std::vector<float>>(layers, std::vector<float>(heads, 0.5F)),
                        std::vector<std::vector<float>>(layers, std::vector<float>(neurons, 1)));
  }

  const nlohmann::json masked_ = {{"parent", "big"}, {"masks", "masks.safetensors"}};
};

TEST_F(BadDeriveTest, ParentIsNotElastic) {
  ExpectDeriveProblem({{"parent", "big"}, {"sub_network", {{"width", 0.5}, {"depth", 1.0}}}},
                      "derive.sub_network: expected a parent with \"elastic\", got \"big\"");
}

TEST_F(BadDeriveTest, UnknownWidthAndDepth) {
  WriteElastic();
  ExpectDeriveProblem({{"parent", "big"}, {"sub_network", {{"width", 0.75}, {"depth", 1.0}}}},
                      "derive.sub_network.width: expected one of 1, 0.5 of \"big\", got 0.75");
  ExpectDeriveProblem({{"parent", "big"}, {"sub_network", {{"width", 0.5}, {"depth", 0.5}}}},
                      "derive.sub_network.depth: expected one of 1 of \"big\", got 0.5");
}

TEST_F(BadDeriveTest, MasksMissing) {
  ExpectDeriveProblem(masked_, "masks.safetensors: expected a file or folder");
}

TEST_F(BadDeriveTest, MasksOfOtherShape) {
  WriteMasks(2, 3, 64);
  ExpectDeriveProblem(masked_, "masks.safetensors: heads: expected F32 [2, 4], got F32 [2, 3]");
  WriteMasks(3, 4, 64);
  ExpectDeriveProblem(masked_, "masks.safetensors: heads: expected F32 [2, 4], got F32 [3, 4]");
  WriteMasks(2, 4, 65);
  ExpectDeriveProblem(masked_, "masks.safetensors: neurons: expected F32 [2, 64], got F32 [2, 65]");
}

TEST_F(BadDeriveTest, MasksWithOtherTensors) {
  testing::TensorMap tensors = {{"heads", testing::MakeTensor(DType::kF32, {1}, {{1}})},
                                {"layers", testing::MakeTensor(DType::kF32, {1}, {{1}})}};
  WriteFile(temp_.path() / "derived" / "masks.safetensors", testing::SerializeSafetensors(tensors));
  ExpectDeriveProblem(masked_, "expected only the tensors heads and neurons, got layers");
}

TEST_F(BadDeriveTest, MasksThatScaleStoredCodes) {
  testing::TensorMap tensors = testing::TinyTensors({.id = "big"});
  testing::StoreCodes("bert.encoder.layer.1.attention.output.dense", std::nullopt, &tensors);
  testing::WriteWeights(temp_.path() / "big", tensors, false);
  WriteMasks(2, 4, 64);
  ExpectDeriveProblem(masked_,
                      "derive.masks: expected only 0 and 1 for a parent with int8 weights");
}

TEST_F(BadDeriveTest, ReferenceOfAnEmbeddingModel) {
  WriteTinyModel(temp_.path() / "embedder", {.id = "embedder", .num_labels = 0, .prefix = ""});
  nlohmann::json manifest = testing::TinyManifest({.id = "embedder", .num_labels = 0});
  manifest["reference"] = {{"inputs_file", "pairs.jsonl"},
                           {"sha256", std::string(64, 'a')},
                           {"scores", {1.0}},
                           {"tolerance", 0.1}};
  WriteFile(temp_.path() / "embedder" / "variant.json", manifest.dump());
  ExpectProblem(temp_, "embedder", "reference: expected a model that scores pairs");
}

TEST_F(FamilyFolderTest, RefusesLinkedFolderOutside) {
  TempFolder outside;
  WriteTinyModel(outside.path(), {.id = "outside"});
  std::filesystem::create_directory_symlink(outside.path(), temp_.path() / "linked");
  ExpectProblem(temp_, "linked", "expected a path inside ");
}

TEST_F(FamilyFolderTest, RefusesLinkedFileOutside) {
  TempFolder outside;
  std::filesystem::rename(temp_.path() / "small" / "model.safetensors",
                          outside.path() / "model.safetensors");
  std::filesystem::create_symlink(outside.path() / "model.safetensors",
                                  temp_.path() / "small" / "model.safetensors");
  ExpectProblem(temp_, "small", "model.safetensors: expected a path inside ");
}

TEST_F(FamilyFolderTest, AllowsLinksInsideTheFamily) {
  std::filesystem::remove(temp_.path() / "small" / "vocab.txt");
  std::filesystem::create_symlink("../big/vocab.txt", temp_.path() / "small" / "vocab.txt");
  const auto family = LoadFamilyFolder(temp_.path());
  ASSERT_TRUE(family.ok()) << family.status();
  EXPECT_THAT(Ids(*family), ElementsAre("big", "small"));
}

TEST_F(FamilyFolderTest, BadVariantLeavesTheOthers) {
  WriteFile(temp_.path() / "small" / "config.json", "{\"a\": ");
  ExpectProblem(temp_, "small", "config.json: expected JSON, got something else at byte ");
}

TEST_F(FamilyFolderTest, AllBadIsAFamilyWithoutVariants) {
  std::filesystem::remove(temp_.path() / "small" / "config.json");
  std::filesystem::remove(temp_.path() / "big" / "vocab.txt");
  const auto family = LoadFamilyFolder(temp_.path());
  ASSERT_TRUE(family.ok()) << family.status();
  EXPECT_TRUE(family->variants.empty());
  EXPECT_EQ(family->problems.size(), 2u);
}

TEST(LoadFamilyFolderTest, FailsWithoutCandidates) {
  TempFolder temp;
  EXPECT_THAT(std::string(LoadFamilyFolder(temp.path()).status().message()),
              HasSubstr("expected a model folder"));
  EXPECT_THAT(std::string(LoadFamilyFolder(temp.path() / "none").status().message()),
              HasSubstr("none: expected a folder"));
}

}  // namespace
}  // namespace tailor
