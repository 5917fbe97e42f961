// SPDX-License-Identifier: Apache-2.0
#include "tests/parity/engine/parity_cases.h"

#include <numeric>

#include "tests/parity/engine/random_model.h"

namespace tailor::testing {

std::map<std::string, BertConfig> ParityConfigs() {
  std::map<std::string, BertConfig> configs;
  configs["bert"] = EqualLayers(64, 4, 128, 3);
  configs["wide_head"] = EqualLayers(128, 2, 256, 2);
  configs["odd_head_26"] = EqualLayers(104, 4, 208, 2);
  configs["odd_sizes"] = EqualLayers(60, 5, 77, 2);
  configs["family_384"] = EqualLayers(384, 12, 1536, 1);
  // Three panels of the feed-forward, large enough that threads share them.
  configs["ffn_panels"] = EqualLayers(400, 8, 1600, 2);

  BertConfig pruned = EqualLayers(64, 4, 128, 3);
  pruned.layers[0].num_heads = 3;
  pruned.layers[1].head_dim = 26;
  pruned.layers[1].ffn_dim = 50;
  pruned.layers[2].num_heads = 1;
  pruned.layers[2].ffn_dim = 7;
  configs["pruned"] = pruned;

  // What masks may leave of layers; also of the last one, of which only first rows are computed.
  BertConfig hollow = EqualLayers(64, 4, 128, 4);
  hollow.layers[0].num_heads = 0;
  hollow.layers[1].ffn_dim = 0;
  hollow.layers[3].num_heads = hollow.layers[3].ffn_dim = 0;
  configs["hollow"] = hollow;

  BertConfig tied = EqualLayers(64, 4, 128, 4);
  for (LayerShape& layer : tied.layers) layer.attention = layer.ffn = 0;
  configs["tied"] = tied;

  BertConfig mean = EqualLayers(64, 4, 128, 2);
  mean.head = {.kind = HeadKind::kEmbedding,
               .pooler = PoolerActivation::kNone,
               .pooling = Pooling::kMean,
               .normalize = true,
               .num_outputs = 64};
  configs["mean_embedding"] = mean;
  BertConfig cls = mean;
  cls.head.pooling = Pooling::kCls;
  cls.head.normalize = false;
  configs["cls_embedding"] = cls;

  BertConfig labels = EqualLayers(64, 4, 128, 2);
  labels.head.num_outputs = 3;
  configs["three_labels"] = labels;

  BertConfig distil = EqualLayers(64, 4, 128, 2);
  distil.num_token_types = 0;
  distil.head.pooler = PoolerActivation::kRelu;
  configs["distilbert"] = distil;

  BertConfig gelu_tanh = EqualLayers(64, 4, 128, 2);
  gelu_tanh.activation = HiddenActivation::kGeluTanh;
  gelu_tanh.head.pooler = PoolerActivation::kTanhRelu;
  configs["gelu_tanh"] = gelu_tanh;
  BertConfig relu = EqualLayers(64, 4, 128, 2);
  relu.activation = HiddenActivation::kRelu;
  relu.head.pooler = PoolerActivation::kNone;
  configs["relu"] = relu;
  return configs;
}

std::map<std::string, std::vector<int>> ParityBatches() {
  std::vector<int> long_and_short(32, 5);
  long_and_short[9] = 300;
  std::vector<int> sixty_four(64);
  std::iota(sixty_four.begin(), sixty_four.end(), 1);
  return {{"one_token", {1}},
          {"one_sequence", {37}},
          {"odd_lengths", {1, 3, 17, 33, 65, 7, 127}},
          {"maximum_length", {512}},
          {"one_long_31_short", long_and_short},
          {"sixty_four", sixty_four}};
}

std::vector<std::string> ParityConfigNames() {
  std::vector<std::string> names;
  for (const auto& [name, config] : ParityConfigs()) names.push_back(name);
  return names;
}

}  // namespace tailor::testing
