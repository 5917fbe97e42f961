// SPDX-License-Identifier: Apache-2.0
#include "engine/model/model_package.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "engine/tensor/tensor_view.h"
#include "tests/testing/safetensors_writer.h"
#include "tests/testing/temp_folder.h"
#include "tests/testing/tiny_model.h"

namespace tailor {
namespace {

using ::testing::HasSubstr;
using testing::TempFolder;
using testing::TinyModelOptions;

absl::StatusOr<ModelPackage> LoadTiny(const TempFolder& temp, const TinyModelOptions& options) {
  testing::WriteTinyModel(temp.path() / "Tiny Model", options);
  return LoadModelPackage(temp.path() / "Tiny Model");
}

// The first value of a tensor tells which tensor of the file it is.
float FirstValue(const TensorView& view) { return ToF32(view).at(0); }

float FirstStored(const TinyModelOptions& options, const std::string& name) {
  const testing::StoredTensor tensor = testing::TinyTensors(options).at(name);
  const DType dtype = tensor.dtype == "F32"   ? DType::kF32
                      : tensor.dtype == "F16" ? DType::kF16
                                              : DType::kBf16;
  return ToF32({.data = reinterpret_cast<const std::byte*>(tensor.bytes.data()),
                .dtype = dtype,
                .shape = tensor.shape})
      .at(0);
}

TEST(LoadModelPackageTest, LoadsPlainFolder) {
  TempFolder temp;
  const TinyModelOptions options;
  const auto package = LoadTiny(temp, options);
  ASSERT_TRUE(package.ok()) << package.status();
  EXPECT_EQ(package->id, "tiny-model");
  EXPECT_EQ(package->family, "");
  EXPECT_EQ(package->format, WeightFormat::kF32);
  EXPECT_EQ(package->config.hidden, 32);
  EXPECT_EQ(package->config.max_positions, 64);
  EXPECT_EQ(package->config.num_token_types, 2);
  ASSERT_EQ(package->config.layers.size(), 2u);
  EXPECT_EQ(package->config.layers[1].num_heads, 4);
  EXPECT_EQ(package->config.layers[1].head_dim, 8);
  EXPECT_EQ(package->config.layers[1].ffn_dim, 64);
  EXPECT_EQ(package->config.layers[1].attention, 1);
  EXPECT_EQ(package->config.head.kind, HeadKind::kClassifier);
  EXPECT_EQ(package->config.head.pooler, PoolerActivation::kTanh);
  EXPECT_EQ(package->config.head.num_outputs, 1);
  EXPECT_EQ(package->task.activation, OutputActivation::kSigmoid);
  EXPECT_EQ(package->task.max_tokens, 64);
  EXPECT_FALSE(package->quality.has_value());
  EXPECT_EQ(package->tokenizer.vocabulary, testing::TinyVocabulary());
  EXPECT_EQ(FirstValue(package->weights.ffn[1].in.weight),
            FirstStored(options, "bert.encoder.layer.1.intermediate.dense.weight"));
  EXPECT_EQ(FirstValue(package->weights.classifier.bias), FirstStored(options, "classifier.bias"));
}

TEST(LoadModelPackageTest, CountsParametersAndBytesOfWhatItReads) {
  TempFolder temp;
  TinyModelOptions options;
  options.dtype = DType::kF16;
  const auto package = LoadTiny(temp, options);
  ASSERT_TRUE(package.ok()) << package.status();
  int64_t bytes = 0;
  for (const auto& [name, tensor] : testing::TinyTensors(options)) {
    bytes += static_cast<int64_t>(tensor.bytes.size());
  }
  EXPECT_EQ(package->weight_bytes, bytes);
  EXPECT_EQ(package->num_parameters, bytes / 2);
}

// Everything that people's folders do differently, and the tensor that must come out all the same.
struct NamingCase {
  const char* name;
  TinyModelOptions options;
  const char* query_weight;
  const char* norm;
};

class NamingTest : public ::testing::TestWithParam<NamingCase> {};

TEST_P(NamingTest, FindsTensors) {
  TempFolder temp;
  const TinyModelOptions& options = GetParam().options;
  const auto package = LoadTiny(temp, options);
  ASSERT_TRUE(package.ok()) << package.status();
  EXPECT_EQ(FirstValue(package->weights.attention[1].query.weight),
            FirstStored(options, GetParam().query_weight));
  EXPECT_EQ(FirstValue(package->weights.ffn[0].norm.gamma), FirstStored(options, GetParam().norm));
  EXPECT_EQ(package->weights.word_embeddings.dtype, options.dtype);
}

INSTANTIATE_TEST_SUITE_P(
    Folders, NamingTest,
    ::testing::Values(NamingCase{"NoPrefix",
                                 {.prefix = ""},
                                 "encoder.layer.1.attention.self.query.weight",
                                 "encoder.layer.0.output.LayerNorm.weight"},
                      NamingCase{"ModelPrefix",
                                 {.prefix = "model."},
                                 "model.encoder.layer.1.attention.self.query.weight",
                                 "model.encoder.layer.0.output.LayerNorm.weight"},
                      NamingCase{"SentenceTransformersPrefix",
                                 {.prefix = "0.auto_model."},
                                 "0.auto_model.encoder.layer.1.attention.self.query.weight",
                                 "0.auto_model.encoder.layer.0.output.LayerNorm.weight"},
                      NamingCase{"GammaBeta",
                                 {.gamma_beta_names = true},
                                 "bert.encoder.layer.1.attention.self.query.weight",
                                 "bert.encoder.layer.0.output.LayerNorm.gamma"},
                      NamingCase{"F16",
                                 {.dtype = DType::kF16},
                                 "bert.encoder.layer.1.attention.self.query.weight",
                                 "bert.encoder.layer.0.output.LayerNorm.weight"},
                      NamingCase{"Bf16",
                                 {.dtype = DType::kBf16},
                                 "bert.encoder.layer.1.attention.self.query.weight",
                                 "bert.encoder.layer.0.output.LayerNorm.weight"},
                      NamingCase{"Sharded",
                                 {.sharded = true},
                                 "bert.encoder.layer.1.attention.self.query.weight",
                                 "bert.encoder.layer.0.output.LayerNorm.weight"},
                      NamingCase{"DistilBert",
                                 {.prefix = "distilbert.", .distilbert = true},
                                 "distilbert.transformer.layer.1.attention.q_lin.weight",
                                 "distilbert.transformer.layer.0.output_layer_norm.weight"}),
    [](const auto& test) { return test.param.name; });

TEST(LoadModelPackageTest, DistilBertHasNoTokenTypesAndAReluPooler) {
  TempFolder temp;
  const TinyModelOptions options = {.prefix = "distilbert.", .distilbert = true};
  const auto package = LoadTiny(temp, options);
  ASSERT_TRUE(package.ok()) << package.status();
  EXPECT_EQ(package->config.num_token_types, 0);
  EXPECT_TRUE(package->weights.token_type_embeddings.empty());
  EXPECT_EQ(package->config.head.pooler, PoolerActivation::kRelu);
  EXPECT_EQ(FirstValue(package->weights.pooler.weight),
            FirstStored(options, "pre_classifier.weight"));
}

TEST(LoadModelPackageTest, EmbeddingFolderFollowsModulesJson) {
  TempFolder temp;
  const auto package = LoadTiny(temp, {.num_labels = 0, .prefix = ""});
  ASSERT_TRUE(package.ok()) << package.status();
  EXPECT_EQ(package->config.head.kind, HeadKind::kEmbedding);
  EXPECT_EQ(package->config.head.pooling, Pooling::kMean);
  EXPECT_TRUE(package->config.head.normalize);
  EXPECT_EQ(package->config.head.num_outputs, 32);
  EXPECT_EQ(package->task.activation, OutputActivation::kNone);
  EXPECT_TRUE(package->weights.classifier.weight.empty());
}

TEST(LoadModelPackageTest, SeveralLabelsAreAClassification) {
  TempFolder temp;
  const auto package = LoadTiny(temp, {.num_labels = 3});
  ASSERT_TRUE(package.ok()) << package.status();
  EXPECT_EQ(package->config.head.num_outputs, 3);
  EXPECT_EQ(package->task.kind, TaskKind::kClassification);
  EXPECT_EQ(package->task.activation, OutputActivation::kNone);
  EXPECT_EQ(package->task.labels, (std::vector<std::string>{"LABEL_0", "LABEL_1", "LABEL_2"}));
}

TEST(LoadModelPackageTest, LayerTableTiesAndPrunes) {
  TempFolder temp;
  TinyModelOptions options = {.id = "pruned"};
  options.layers = {{.num_heads = 3, .head_dim = 8, .ffn_dim = 40, .attention = 0, .ffn = 0},
                    {.num_heads = 1, .head_dim = 8, .ffn_dim = 40, .attention = 4, .ffn = 0},
                    {.num_heads = 3, .head_dim = 8, .ffn_dim = 7, .attention = 0, .ffn = 2}};
  options.quality = Quality{
      .ndcg10 = 0.5, .ci_low = 0.4, .ci_high = 0.6, .num_queries = 7, .dataset_id = "set-b"};
  const auto package = LoadTiny(temp, options);
  ASSERT_TRUE(package.ok()) << package.status();
  EXPECT_EQ(package->id, "pruned");
  EXPECT_EQ(package->family, "tiny");
  ASSERT_EQ(package->weights.attention.size(), 2u);
  ASSERT_EQ(package->weights.ffn.size(), 2u);
  EXPECT_EQ(package->config.layers[1].attention, 1);
  EXPECT_EQ(package->config.layers[1].ffn, 0);
  EXPECT_EQ(package->config.layers[2].attention, 0);
  EXPECT_EQ(package->config.layers[2].ffn, 1);
  EXPECT_EQ(package->weights.attention[1].query.weight.shape, (std::vector<int64_t>{8, 32}));
  EXPECT_EQ(package->weights.ffn[1].out.weight.shape, (std::vector<int64_t>{32, 7}));
  EXPECT_EQ(FirstValue(package->weights.attention[1].key.weight),
            FirstStored(options, "bert.encoder.layer.4.attention.self.key.weight"));
  ASSERT_TRUE(package->quality.has_value());
  EXPECT_EQ(package->quality->ndcg10, 0.5);
  EXPECT_EQ(package->quality->num_queries, 7);
}

TEST(LoadModelPackageTest, DerivedVariantNeedsItsFamily) {
  TempFolder temp;
  testing::WriteDerivedVariant(temp.path() / "d", "d", "tiny", "teacher", "bf16");
  const auto package = LoadModelPackage(temp.path() / "d");
  EXPECT_THAT(std::string(package.status().message()), HasSubstr("needs its family"));
}

}  // namespace
}  // namespace tailor
