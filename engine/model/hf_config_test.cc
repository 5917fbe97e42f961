// SPDX-License-Identifier: Apache-2.0
#include "engine/model/hf_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/testing/tiny_model.h"

namespace tailor {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

json Bert(const json& changes = json::object()) {
  json config = testing::TinyConfig({});
  config.update(changes);
  return config;
}

std::string Problem(const json& changes) {
  const auto config = ParseHfConfig(Bert(changes));
  return config.ok() ? "accepted" : std::string(config.status().message());
}

TEST(ParseHfConfigTest, ReadsCrossEncoderActivations) {
  const auto activation = [](const json& changes) {
    return ParseHfConfig(Bert(changes))->output_activation;
  };
  EXPECT_EQ(activation(json::object()), std::nullopt);
  EXPECT_EQ(activation({{"sentence_transformers",
                         {{"activation_fn", "torch.nn.modules.linear.Identity"}}}}),
            OutputActivation::kNone);
  EXPECT_EQ(
      activation({{"sbert_ce_default_activation_function", "torch.nn.modules.activation.Sigmoid"}}),
      OutputActivation::kSigmoid);
  // The newer key wins over the older one.
  EXPECT_EQ(activation({{"sentence_transformers", {{"activation_fn", "x.Identity"}}},
                        {"sbert_ce_default_activation_function", "x.Sigmoid"}}),
            OutputActivation::kNone);
  EXPECT_THAT(Problem({{"sentence_transformers", {{"activation_fn", "my.Module"}}}}),
              HasSubstr("sentence_transformers.activation_fn: expected Identity, Sigmoid or"));
}

TEST(ParseHfConfigTest, ReadsHiddenActivations) {
  const auto activation = [](const char* name) {
    return ParseHfConfig(Bert({{"hidden_act", name}}))->activation;
  };
  EXPECT_EQ(activation("gelu"), HiddenActivation::kGeluErf);
  EXPECT_EQ(activation("gelu_new"), HiddenActivation::kGeluTanh);
  EXPECT_EQ(activation("relu"), HiddenActivation::kRelu);
  EXPECT_THAT(Problem({{"hidden_act", "silu"}}), HasSubstr("hidden_act: expected one of \"gelu\""));
}

TEST(ParseHfConfigTest, TakesPrunedHeadsOff) {
  const auto config = ParseHfConfig(Bert({{"pruned_heads", {{"1", {0, 3, 3}}}}}));
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->layers[0].num_heads, 4);
  EXPECT_EQ(config->layers[1].num_heads, 2);
  EXPECT_EQ(config->layers[1].head_dim, 8);
  EXPECT_THAT(Problem({{"pruned_heads", {{"1", {0, 1, 2, 3}}}}}), HasSubstr("pruned_heads"));
  EXPECT_THAT(Problem({{"pruned_heads", {{"9", {0}}}}}), HasSubstr("pruned_heads"));
}

TEST(ParseHfConfigTest, ReadsLabels) {
  const auto named = ParseHfConfig(Bert({{"id2label", {{"1", "yes"}, {"0", "no"}}}}));
  ASSERT_TRUE(named.ok()) << named.status();
  EXPECT_EQ(named->labels, (std::vector<std::string>{"no", "yes"}));
  EXPECT_EQ(named->num_labels, 2);
  EXPECT_THAT(Problem({{"id2label", {{"0", "a"}, {"2", "b"}}}}), HasSubstr("id2label"));
  EXPECT_THAT(Problem({{"num_labels", 3}}),
              HasSubstr("num_labels: expected the 1 labels of id2label, got 3"));
}

TEST(ParseHfConfigTest, RefusesWhatItCannotCompute) {
  EXPECT_THAT(Problem({{"model_type", "albert"}}), HasSubstr("model_type"));
  EXPECT_THAT(Problem({{"architectures", {"BertForTokenClassification"}}}),
              HasSubstr("architectures: expected (Distil)BertForSequenceClassification"));
  EXPECT_THAT(Problem({{"is_decoder", true}}), HasSubstr("is_decoder: expected false, got true"));
  EXPECT_THAT(Problem({{"quantization_config", json::object()}}), HasSubstr("quantization_config"));
  EXPECT_THAT(Problem({{"num_attention_heads", 5}}), HasSubstr("a divisor of hidden_size 32"));
  EXPECT_THAT(Problem({{"hidden_size", nullptr}}), HasSubstr("hidden_size: expected a value"));
  EXPECT_THAT(Problem({{"num_hidden_layers", 1 << 20}}), HasSubstr("num_hidden_layers"));
  EXPECT_EQ(Problem({{"a_key_of_tomorrow", 1}}), "accepted");
}

}  // namespace
}  // namespace tailor
