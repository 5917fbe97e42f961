// SPDX-License-Identifier: Apache-2.0
#include "tests/parity/engine/random_model.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <memory>
#include <random>

namespace tailor::testing {
namespace {

// Owns the values that the package's views point to; a deque never moves its elements.
using Storage = std::deque<std::vector<float>>;

class Maker {
 public:
  explicit Maker(uint64_t seed) : random_(seed), storage_(std::make_shared<Storage>()) {}

  TensorView Tensor(std::vector<int64_t> shape, double deviation, double mean = 0) {
    TensorView view;
    view.shape = std::move(shape);
    std::vector<float>& values = storage_->emplace_back(view.num_elements());
    // std::normal_distribution differs between libraries; a sum of uniforms does not.
    for (float& value : values) {
      double sum = 0;
      for (int i = 0; i < 4; ++i) sum += static_cast<double>(random_() >> 11) * 0x1p-53;
      value = static_cast<float>(mean + deviation * (sum - 2.0) * std::sqrt(3.0));
    }
    view.data = reinterpret_cast<const std::byte*>(values.data());
    return view;
  }

  // Gain is the deviation of an output for inputs of deviation 1.
  LinearWeights Linear(int64_t out, int64_t in, double gain) {
    return {.weight = Tensor({out, in}, gain / std::sqrt(static_cast<double>(in))),
            .bias = Tensor({out}, 0.1)};
  }

  NormWeights Norm(int64_t hidden) {
    return {.gamma = Tensor({hidden}, 0.1, 1.0), .beta = Tensor({hidden}, 0.1)};
  }

  std::shared_ptr<const void> storage() const { return storage_; }

 private:
  std::mt19937_64 random_;
  std::shared_ptr<Storage> storage_;
};

void AddLayers(const BertConfig& config, Maker& make, BertWeights& weights) {
  const int64_t hidden = config.hidden;
  for (const LayerShape& layer : config.layers) {
    const int64_t width = layer.attention_dim();
    if (layer.attention >= static_cast<int>(weights.attention.size())) {
      weights.attention.push_back({.query = make.Linear(width, hidden, 1.5),
                                   .key = make.Linear(width, hidden, 1.5),
                                   .value = make.Linear(width, hidden, 1.0),
                                   .output = make.Linear(hidden, width, 1.0),
                                   .norm = make.Norm(hidden)});
    }
    if (layer.ffn >= static_cast<int>(weights.ffn.size())) {
      weights.ffn.push_back({.in = make.Linear(layer.ffn_dim, hidden, 1.0),
                             .out = make.Linear(hidden, layer.ffn_dim, 1.0),
                             .norm = make.Norm(hidden)});
    }
  }
}

}  // namespace

ModelPackage RandomModel(const BertConfig& config, uint64_t seed, WeightFormat format) {
  Maker make(seed);
  ModelPackage package;
  package.id = "random";
  package.format = format;
  package.config = config;
  const int64_t hidden = config.hidden;
  BertWeights& weights = package.weights;
  weights.word_embeddings = make.Tensor({config.vocab_size, hidden}, 1.0);
  weights.position_embeddings = make.Tensor({config.max_positions, hidden}, 0.5);
  if (config.num_token_types > 0) {
    weights.token_type_embeddings = make.Tensor({config.num_token_types, hidden}, 0.5);
  }
  weights.embedding_norm = make.Norm(hidden);
  AddLayers(config, make, weights);
  if (config.head.kind == HeadKind::kClassifier) {
    if (config.head.pooler != PoolerActivation::kNone) {
      weights.pooler = make.Linear(hidden, hidden, 1.0);
    }
    weights.classifier = make.Linear(config.head.num_outputs, hidden, 1.0);
  }
  package.storage = make.storage();
  return package;
}

void StoreCodes(ModelPackage& package, Stored which, float input_scale) {
  struct Codes {
    std::shared_ptr<const void> floats;  // the biases and all that stays
    std::deque<std::vector<int8_t>> codes;
    std::deque<std::vector<float>> scales;
  };
  const auto owner = std::make_shared<Codes>();
  owner->floats = package.storage;
  std::vector<LinearWeights*> products;
  for (AttentionWeights& a : package.weights.attention) {
    for (LinearWeights* linear : {&a.query, &a.key, &a.value, &a.output})
      products.push_back(linear);
  }
  for (FfnWeights& f : package.weights.ffn) {
    if (which == Stored::kAttention) break;
    for (LinearWeights* linear : {&f.in, &f.out}) products.push_back(linear);
  }
  for (size_t n = 0; n < products.size(); n += which == Stored::kEverySecond ? 2 : 1) {
    LinearWeights& linear = *products[n];
    const std::vector<float> weight = ToF32(linear.weight);
    std::vector<int8_t>& codes = owner->codes.emplace_back();
    // Odd rows do not use all codes: any scale is allowed.
    std::vector<float>& scales = owner->scales.emplace_back();
    const size_t in = linear.weight.row_elements();
    for (size_t row = 0; row < static_cast<size_t>(linear.weight.dim(0)); ++row) {
      float largest = 1e-6F;  // also of a row without inputs
      for (size_t i = 0; i < in; ++i) largest = std::max(largest, std::abs(weight[row * in + i]));
      scales.push_back(largest / (row % 2 == 0 ? 127.0F : 100.0F));
      for (size_t i = 0; i < in; ++i) {
        codes.push_back(static_cast<int8_t>(std::round(weight[row * in + i] / scales.back())));
      }
    }
    linear.weight.dtype = DType::kI8;
    linear.weight.data = reinterpret_cast<const std::byte*>(codes.data());
    linear.weight_scale = {.data = reinterpret_cast<const std::byte*>(scales.data()),
                           .dtype = DType::kF32,
                           .shape = {static_cast<int64_t>(scales.size())}};
    linear.input_scale = input_scale * (1.0F + static_cast<float>(n) / 8.0F);
  }
  package.storage = owner;
}

BertConfig EqualLayers(int hidden, int num_heads, int ffn_dim, int num_layers) {
  BertConfig config;
  config.hidden = hidden;
  config.vocab_size = 97;
  config.max_positions = 512;
  config.num_token_types = 2;
  for (int i = 0; i < num_layers; ++i) {
    config.layers.push_back({.num_heads = num_heads,
                             .head_dim = hidden / num_heads,
                             .ffn_dim = ffn_dim,
                             .attention = i,
                             .ffn = i});
  }
  return config;
}

Batch RandomBatch(const std::vector<int>& lengths, const BertConfig& config, uint64_t seed) {
  std::mt19937_64 random(seed);
  Batch batch;
  for (const int length : lengths) {
    std::vector<int32_t> ids(length);
    std::vector<int32_t> types(length);
    for (int32_t& id : ids) id = static_cast<int32_t>(random() % config.vocab_size);
    for (int i = length / 2; i < length; ++i) types[i] = config.num_token_types > 1 ? 1 : 0;
    batch.Append(ids, types);
  }
  return batch;
}

}  // namespace tailor::testing
