// SPDX-License-Identifier: Apache-2.0
// Attention of packed sequences, without padding and without scores in device memory.
#pragma once

#include <cstdint>

#include "engine/cuda/kernels/element.h"

namespace tailor::cuda {

constexpr int kMaxHeadDim = 128;

// For each sequence, head and query row: context = softmax(scale * (q + q_bias) . (k + k_bias)) *
// (v + v_bias), all in f32 until it is stored. Scores are taken a tile of keys at a time with a
// running largest one and a running sum (Milakov and Gimelshein, "Online normalizer calculation for
// softmax", arXiv 1805.02867). Pointers are device memory; head h has columns [h * head_dim, (h +
// 1) * head_dim) of each row.
struct Attention {
  Element element = Element::kF32;  // of queries, keys, values and context
  int num_sequences = 0;
  int max_tokens = 0;  // of the longest sequence
  int num_heads = 0;   // at least 1
  int head_dim = 0;    // 1 to kMaxHeadDim
  // Whether only the first row of each sequence asks: then queries and context have a row for each
  // sequence instead of each token.
  bool first_rows_only = false;
  float scale = 1;
  const int32_t* offsets = nullptr;   // [num_sequences + 1] first tokens
  const void* queries = nullptr;      // [rows, num_heads * head_dim]
  int query_stride = 0;               // numbers from one row to the next
  const void* keys = nullptr;         // [tokens, num_heads * head_dim]
  const void* values = nullptr;       // [tokens, num_heads * head_dim]
  int key_stride = 0;                 // of keys and of values
  const float* query_bias = nullptr;  // [num_heads * head_dim]
  const float* key_bias = nullptr;
  const float* value_bias = nullptr;
  void* context = nullptr;  // [rows, num_heads * head_dim], dense
};

}  // namespace tailor::cuda
