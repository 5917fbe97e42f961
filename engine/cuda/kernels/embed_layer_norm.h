// SPDX-License-Identifier: Apache-2.0
// Embedding rows of tokens, summed and normalised.
#pragma once

#include <cstdint>

#include "engine/cuda/kernels/element.h"

namespace tailor::cuda {

// residual[t] = LayerNorm(words[ids[t]] + places[positions[t]] + kinds[types[t]]), and hidden the
// same for the products to read. All pointers are device memory.
struct EmbedLayerNorm {
  Element element = Element::kF32;     // of hidden
  int rows = 0;                        // tokens
  int columns = 0;                     // numbers of a row
  const int32_t* ids = nullptr;        // [rows]
  const int32_t* positions = nullptr;  // [rows]
  const int32_t* types = nullptr;      // [rows]; not read without kinds
  const float* words = nullptr;        // [vocab_size, columns]
  const float* places = nullptr;       // [max_positions, columns]
  const float* kinds = nullptr;        // [num_token_types, columns]; null: the model has none
  const float* gamma = nullptr;        // [columns]
  const float* beta = nullptr;         // [columns]
  float epsilon = 0;
  float* residual = nullptr;  // [rows, columns]
  void* hidden = nullptr;     // [rows, columns]
};

}  // namespace tailor::cuda
