// SPDX-License-Identifier: Apache-2.0
// context = softmax(Q * K^T) * V for every head of one sequence, and any range of its queries, in
// halves: bf16 on AMX tiles, f16 with AVX512-FP16. The factor 1/sqrt(head_dim) is already in Q. Q,
// K, V and the weights e^(score - largest) are halves; scores, the sum of the weights before they
// are rounded, and the sums of values are f32 (of f16 in chunks, half_block_fp16.h). A query's
// context is the same whatever other queries the call has.
// Tolerance: docs/numerics.md, "attention in halves".
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/cpu/kernels/tile_layout.h"

namespace tailor {

struct HalfAttentionArgs {
  const uint16_t* query;  // halves: [num_queries, num_heads * head_dim], rows query_stride apart
  const uint16_t* key;    // halves: [num_keys, num_heads * head_dim], rows key_value_stride apart
  const uint16_t* value;  // halves: [num_keys, num_heads * head_dim], rows key_value_stride apart
  size_t query_stride;
  size_t key_value_stride;
  int num_queries;
  int num_keys;
  int num_heads;
  int head_dim;
  std::byte* scratch;  // HalfAttentionScratch(num_keys, head_dim) bytes, 64-byte aligned
  float* context;      // [num_queries, num_heads * head_dim]
  TileRows tiles;      // of halves, when head_dim is a multiple of 16: written instead of context
};

using HalfAttentionFn = void (*)(const HalfAttentionArgs& args) noexcept;

// Where the parts of the scratch begin; one head at a time.
struct HalfAttentionLayout {
  // [[gnu::always_inline]]: also compiled for one instruction set (simd.h).
  [[gnu::always_inline]] constexpr HalfAttentionLayout(int num_keys, int head_dim)
      : key_steps((num_keys + 31) / 32),
        dim_steps((head_dim + 31) / 32),
        dim_tiles(2 * dim_steps) {}

  int key_steps;  // tiles of 32 keys in a row of weights
  int dim_steps;  // tiles of 32 dimensions in a row of queries
  int dim_tiles;  // tiles of 16 dimensions in a row of sums, an even count

  // A row of scores, in values; the odd cache line keeps rows out of each other's sets.
  [[gnu::always_inline]] constexpr size_t score_stride() const {
    return static_cast<size_t>(key_steps) * 32 + 16;
  }
  [[gnu::always_inline]] constexpr size_t values() const {
    return kTileBytes * 2 * key_steps * dim_steps;
  }
  [[gnu::always_inline]] constexpr size_t queries() const {
    return values() + kTileBytes * key_steps * dim_tiles;
  }
  [[gnu::always_inline]] constexpr size_t weights() const {
    return queries() + kTileBytes * dim_steps;
  }
  [[gnu::always_inline]] constexpr size_t scores() const {
    return weights() + kTileBytes * key_steps;
  }
  [[gnu::always_inline]] constexpr size_t sums() const {
    return scores() + kTileRows * score_stride() * sizeof(float);
  }
  [[gnu::always_inline]] constexpr size_t bytes() const { return sums() + kTileBytes * dim_tiles; }
};

constexpr size_t HalfAttentionScratch(int num_keys, int head_dim) {
  return HalfAttentionLayout(num_keys, head_dim).bytes();
}

}  // namespace tailor
