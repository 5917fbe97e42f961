// SPDX-License-Identifier: Apache-2.0
// A variant as the reference keeps it: every tensor as f32, in the order it is stored.
#pragma once

#include <vector>

#include "engine/model/model_package.h"

namespace tailor::reference {

struct Linear {
  std::vector<float> weight;  // [out, in]
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
  WeightFormat format = WeightFormat::kF32;
  std::vector<float> word_embeddings, position_embeddings, token_type_embeddings;
  Norm embedding_norm;
  std::vector<Attention> attention;
  std::vector<Ffn> ffn;
  Linear pooler, classifier;
};

// For kBf16 the weights of the encoder's products are rounded to bf16, the query's after its factor
// 1/sqrt(head_dim) was folded in.
Model Unpack(const ModelPackage& package);

// The nearest bf16, ties to even.
float RoundToBf16(float value);

// Logits or embedding of one sequence. types may be empty when the model has no type table.
std::vector<float> RunSequence(const Model& model, std::span<const int32_t> ids,
                               std::span<const int32_t> types);

}  // namespace tailor::reference
