// SPDX-License-Identifier: Apache-2.0
#include "engine/reference/reference_model.h"

#include <bit>
#include <cmath>

#include "engine/model/product_weights.h"

namespace tailor::reference {
namespace {

Linear Unpack(const LinearWeights& weights) {
  Linear linear;
  linear.in = weights.weight.row_elements();
  linear.weight = ToF32(weights.weight);
  linear.bias = ToF32(weights.bias);
  return linear;
}

// Codes as they are stored.
Linear UnpackCodes(const LinearWeights& weights) {
  Linear linear = Unpack(weights);
  linear.arithmetic = Arithmetic::kInt8;
  for (const float code : linear.weight) linear.codes.push_back(static_cast<int8_t>(code));
  linear.weight.clear();
  linear.scale = ToF32(weights.weight_scale);
  linear.input_scale = weights.input_scale;
  return linear;
}

// Codes of weights that are stored as floats: a scale for each row.
Linear QuantizeWeights(const LinearWeights& weights) {
  Linear linear = Unpack(weights);
  linear.arithmetic = Arithmetic::kInt8;
  for (size_t o = 0; o < linear.bias.size(); ++o) {
    const auto row = std::span<const float>(linear.weight).subspan(o * linear.in, linear.in);
    linear.scale.push_back(ScaleOf(row));
    const std::vector<int8_t> codes = Quantize(row, linear.scale.back());
    linear.codes.insert(linear.codes.end(), codes.begin(), codes.end());
  }
  linear.weight.clear();
  return linear;
}

void Scale(Linear& linear, float factor) {
  for (float& value : linear.weight) value *= factor;
  for (float& value : linear.scale) value *= factor;
  for (float& value : linear.bias) value *= factor;
}

// One of the encoder's products in its format. `factor` multiplies weights and bias.
Linear UnpackProduct(const ModelPackage& package, const LinearWeights& weights, float factor = 1) {
  Linear linear;
  if (IsInt8(package, weights)) {
    linear = IsFloat(weights.weight.dtype) ? QuantizeWeights(weights) : UnpackCodes(weights);
  } else {
    linear = Unpack(weights);
    if (package.format == WeightFormat::kF16) {
      for (float& value : linear.weight) value = RoundToF16(value);
    }
  }
  Scale(linear, factor);
  if (package.format == WeightFormat::kBf16 && linear.arithmetic == Arithmetic::kF32) {
    linear.arithmetic = Arithmetic::kBf16;
    for (float& value : linear.weight) value = RoundToBf16(value);
  }
  return linear;
}

Norm Unpack(const NormWeights& weights) { return {ToF32(weights.gamma), ToF32(weights.beta)}; }

// 1/sqrt(head_dim) of the layers that use attention block `index`, which share it.
float QueryFactor(const BertConfig& config, int index) {
  for (const LayerShape& layer : config.layers) {
    if (layer.attention == index && layer.num_heads > 0) {
      return 1.0F / std::sqrt(static_cast<float>(layer.head_dim));
    }
  }
  return 1.0F;
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
  model.word_embeddings = ToF32(weights.word_embeddings);
  model.position_embeddings = ToF32(weights.position_embeddings);
  model.token_type_embeddings = ToF32(weights.token_type_embeddings);
  model.embedding_norm = Unpack(weights.embedding_norm);
  for (size_t i = 0; i < weights.attention.size(); ++i) {
    const AttentionWeights& a = weights.attention[i];
    const float factor = QueryFactor(package.config, static_cast<int>(i));
    model.attention.push_back({.query = UnpackProduct(package, a.query, factor),
                               .key = UnpackProduct(package, a.key),
                               .value = UnpackProduct(package, a.value),
                               .output = UnpackProduct(package, a.output),
                               .norm = Unpack(a.norm)});
  }
  for (const FfnWeights& f : weights.ffn) {
    model.ffn.push_back({.in = UnpackProduct(package, f.in),
                         .out = UnpackProduct(package, f.out),
                         .norm = Unpack(f.norm)});
  }
  model.pooler = Unpack(weights.pooler);
  model.classifier = Unpack(weights.classifier);
  return model;
}

}  // namespace tailor::reference
