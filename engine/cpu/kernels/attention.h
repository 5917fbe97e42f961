// SPDX-License-Identifier: Apache-2.0
// context = softmax(Q * K^T) * V for every head of one sequence, and any range of its queries.
// The factor 1/sqrt(head_dim) is already in Q. f32 throughout; whole score rows, no online softmax.
// Tolerance: docs/numerics.md, "attention".
#pragma once

#include <cstddef>
#include <cstdint>

namespace tailor {

struct AttentionArgs {
  const float* query;  // [num_queries, num_heads * head_dim], rows query_stride apart
  const float* key;    // [num_keys, num_heads * head_dim], rows key_value_stride apart
  const float* value;  // [num_keys, num_heads * head_dim], rows key_value_stride apart
  size_t query_stride;
  size_t key_value_stride;
  int num_queries;
  int num_keys;
  int num_heads;
  int head_dim;
  float* scratch;  // AttentionScratch(num_keys, head_dim) floats, 64-byte aligned
  float* context;  // [num_queries, num_heads * head_dim]
};

using AttentionFn = void (*)(const AttentionArgs& args) noexcept;

// Rows of queries that share a pass over the keys, and the padding of keys and dimensions; the same
// for every ISA so that one workspace fits all.
constexpr int kAttentionQueryRows = 6;
constexpr int kAttentionPadding = 64;

[[gnu::always_inline]] constexpr size_t AttentionPadded(int n) {
  return (static_cast<size_t>(n) + kAttentionPadding - 1) / kAttentionPadding * kAttentionPadding;
}

// Transposed keys, packed values, and the score rows of one block of queries.
[[gnu::always_inline]] constexpr size_t AttentionScratch(int num_keys, int head_dim) {
  return AttentionPadded(num_keys) * (2 * AttentionPadded(head_dim) + kAttentionQueryRows);
}

}  // namespace tailor
