// SPDX-License-Identifier: Apache-2.0
// A variant as the reference keeps it: every tensor as f32, or as 8-bit codes, in the order it is
// stored.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/model/model_package.h"

namespace tailor::reference {

// How a linear step computes; the formats of WeightFormat, kF16 being f32 on rounded weights.
enum class Arithmetic {
  kF32,
  kBf16,  // inputs rounded to bf16; the weights already are
  kInt8,  // codes * codes summed as integers, then scaled
};

struct Linear {
  Arithmetic arithmetic = Arithmetic::kF32;
  size_t in = 0;
  std::vector<float> weight;  // [out, in]; empty for kInt8
  std::vector<int8_t> codes;  // [out, in] of kInt8
  std::vector<float> scale;   // [out] of kInt8: weight = code * scale
  float input_scale = 0;      // of kInt8: of every input row; 0: each row has its own
  std::vector<float> bias;    // [out]
};

struct Norm {
  std::vector<float> gamma, beta;  // [hidden]
};

struct Attention {
  Linear query, key, value, output;
  Norm norm;
};

struct Ffn {
  Linear in, out;
  Norm norm;
};

struct Model {
  BertConfig config;
  std::vector<float> word_embeddings, position_embeddings, token_type_embeddings;
  Norm embedding_norm;
  std::vector<Attention> attention;
  std::vector<Ffn> ffn;
  Linear pooler, classifier;
};

// The query's factor 1/sqrt(head_dim) is folded into its weights. For kBf16 these are rounded after
// that, for kF16 before; of int8 weights the scales take the factor.
Model Unpack(const ModelPackage& package);

// The nearest bf16, ties to even.
float RoundToBf16(float value);

// Symmetric 8-bit codes of `values`: clamp(round(value / scale), -127, 127), ties to even.
std::vector<int8_t> Quantize(std::span<const float> values, float scale);
// The scale that just fits them: max|value| / 127, or 1 where that is 0; NaN when a value is.
float ScaleOf(std::span<const float> values);

// y = x * weight^T + bias. x: [rows, in]; returns [rows, out].
std::vector<float> Apply(const Linear& linear, std::span<const float> x, size_t rows);

// Logits or embedding of one sequence. types may be empty when the model has no type table.
std::vector<float> RunSequence(const Model& model, std::span<const int32_t> ids,
                               std::span<const int32_t> types);

}  // namespace tailor::reference
