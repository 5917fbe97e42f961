// SPDX-License-Identifier: Apache-2.0
#include "engine/reference/reference_model.h"

#include <bit>
#include <cmath>

namespace tailor::reference {
namespace {

Linear Unpack(const LinearWeights& weights) { return {ToF32(weights.weight), ToF32(weights.bias)}; }
Norm Unpack(const NormWeights& weights) { return {ToF32(weights.gamma), ToF32(weights.beta)}; }

void RoundWeights(Linear& linear) {
  for (float& value : linear.weight) value = RoundToBf16(value);
}

void Scale(Linear& linear, float factor) {
  for (float& value : linear.weight) value *= factor;
  for (float& value : linear.bias) value *= factor;
}

}  // namespace

float RoundToBf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t rounded = bits + 0x7FFFU + ((bits >> 16) & 1U);
  return std::bit_cast<float>(rounded & 0xFFFF0000U);
}

Model Unpack(const ModelPackage& package) {
  const BertWeights& weights = package.weights;
  Model model;
  model.config = package.config;
  model.format = package.format;
  model.word_embeddings = ToF32(weights.word_embeddings);
  model.position_embeddings = ToF32(weights.position_embeddings);
  model.token_type_embeddings = ToF32(weights.token_type_embeddings);
  model.embedding_norm = Unpack(weights.embedding_norm);
  for (const AttentionWeights& a : weights.attention) {
    model.attention.push_back({.query = Unpack(a.query),
                               .key = Unpack(a.key),
                               .value = Unpack(a.value),
                               .output = Unpack(a.output),
                               .norm = Unpack(a.norm)});
  }
  for (const FfnWeights& f : weights.ffn) {
    model.ffn.push_back({.in = Unpack(f.in), .out = Unpack(f.out), .norm = Unpack(f.norm)});
  }
  model.pooler = Unpack(weights.pooler);
  model.classifier = Unpack(weights.classifier);

  std::vector<bool> is_scaled(model.attention.size(), false);
  for (const LayerShape& layer : model.config.layers) {
    if (is_scaled[layer.attention]) continue;  // layers may share their weights
    is_scaled[layer.attention] = true;
    Scale(model.attention[layer.attention].query,
          1.0F / std::sqrt(static_cast<float>(layer.head_dim)));
  }
  if (model.format == WeightFormat::kBf16) {
    for (Attention& a : model.attention) {
      for (Linear* linear : {&a.query, &a.key, &a.value, &a.output}) RoundWeights(*linear);
    }
    for (Ffn& f : model.ffn) {
      for (Linear* linear : {&f.in, &f.out}) RoundWeights(*linear);
    }
  }
  return model;
}

}  // namespace tailor::reference
