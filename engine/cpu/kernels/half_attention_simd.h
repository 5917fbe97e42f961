// SPDX-License-Identifier: Apache-2.0
// The parts of attention in halves that tiles and vectors share. Per head: keys and values are
// packed once, then blocks of 16 queries go through scores, softmax and the sum of values while
// their score rows stay in the first-level cache.
#pragma once

#include "engine/cpu/kernels/attention_simd.h"
#include "engine/cpu/kernels/half_attention.h"
#include "engine/cpu/kernels/simd.h"
#include "engine/cpu/kernels/store_tiles_simd.h"

namespace tailor::TAILOR_ISA {

constexpr int kVectorHalves = 32;  // halves of a vector, and of a row of a tile

TAILOR_INLINE __mmask32 FirstHalves(int n) {
  return n >= kVectorHalves ? ~__mmask32{0} : n > 0 ? (__mmask32{1} << n) - 1 : __mmask32{0};
}

// Keys are the outputs of the product that gives scores, and dimensions those of the sum of values:
// of kF16, the two tiles of 32 outputs hold the even and the odd ones (tile_layout.h).
constexpr int kOutputStride = kHalf == TileType::kF16 ? 2 : 1;
constexpr int kSecondTile = kHalf == TileType::kF16 ? 1 : 16;  // its first output of the 32

// 16 keys a tile; row r of it holds dimensions 2 r and 2 r + 1 of each: a transposition of pairs.
TAILOR_INLINE void PackKeyTiles(const HalfAttentionArgs& a, const HalfAttentionLayout& layout,
                                const uint16_t* key, std::byte* tiles) {
  for (int tile = 0; tile < layout.key_steps * 2; ++tile) {
    const int first = tile / 2 * 32 + tile % 2 * kSecondTile;
    for (int s = 0; s < layout.dim_steps; ++s, tiles += kTileBytes) {
      const __mmask32 dims = FirstHalves(a.head_dim - s * kVectorHalves);
      Floats pairs[16];
      for (int i = 0; i < 16; ++i) {
        const int k = first + i * kOutputStride;
        const uint16_t* row = key + static_cast<size_t>(k) * a.key_value_stride + s * kVectorHalves;
        pairs[i] =
            k < a.num_keys ? _mm512_castsi512_ps(_mm512_maskz_loadu_epi16(dims, row)) : Splat(0);
      }
      TransposeSquare(pairs);
      for (int i = 0; i < 16; ++i) Store(reinterpret_cast<float*>(tiles) + 16 * i, pairs[i]);
    }
  }
}

// Of two rows of 32 halves, a pair of each of the first tile's outputs.
struct PairOrder {
  uint16_t of[kVectorHalves] = {};
  constexpr PairOrder() {
    for (int i = 0; i < kVectorHalves; ++i) {
      of[i] = static_cast<uint16_t>(i / 2 * kOutputStride + i % 2 * kVectorHalves);
    }
  }
};

// 32 keys a tile; row r of it holds keys 2 r and 2 r + 1, interleaved, of 16 dimensions.
TAILOR_INLINE void PackValueTiles(const HalfAttentionArgs& a, const HalfAttentionLayout& layout,
                                  const uint16_t* value, std::byte* tiles) {
  static constexpr PairOrder kOrder;
  const __m512i first = _mm512_loadu_si512(kOrder.of);
  const __m512i second = _mm512_add_epi16(first, _mm512_set1_epi16(kSecondTile));
  for (int r = 0; r < layout.key_steps * 16; ++r) {
    const uint16_t* row = value + static_cast<size_t>(2 * r) * a.key_value_stride;
    std::byte* out = tiles + static_cast<size_t>(r / 16) * layout.dim_tiles * kTileBytes +
                     static_cast<size_t>(r % 16) * kTileRowBytes;
    for (int d = 0; d < layout.dim_tiles; d += 2) {
      const __mmask32 dims = FirstHalves(a.head_dim - d * 16);
      const auto load = [&](int i) {
        return _mm512_maskz_loadu_epi16(2 * r + i < a.num_keys ? dims : 0,
                                        row + i * a.key_value_stride + d * 16);
      };
      const __m512i even = load(0);
      const __m512i odd = load(1);
      std::byte* at = out + d * kTileBytes;
      _mm512_store_si512(at, _mm512_permutex2var_epi16(even, first, odd));
      _mm512_store_si512(at + kTileBytes, _mm512_permutex2var_epi16(even, second, odd));
    }
  }
}

TAILOR_INLINE void PackQueryTiles(const HalfAttentionArgs& a, const HalfAttentionLayout& layout,
                                  const uint16_t* query, int rows, std::byte* tiles) {
  for (int s = 0; s < layout.dim_steps; ++s) {
    const __mmask32 dims = FirstHalves(a.head_dim - s * kVectorHalves);
    for (int r = 0; r < rows; ++r) {
      const uint16_t* row = query + static_cast<size_t>(r) * a.query_stride + s * kVectorHalves;
      _mm512_store_si512(tiles + s * kTileBytes + r * kTileRowBytes,
                         _mm512_maskz_loadu_epi16(dims, row));
    }
  }
}

// Products of one row of tiles with kTiles columns of them. Tiles of b stand `tile` bytes apart
// within a step, and steps `step` bytes.
struct RowProduct {
  const std::byte* a;  // [steps] tiles
  int steps;
  const std::byte* b;
  size_t tile;
  size_t step;
  float* out;  // [16, 16 * kTiles], rows out_stride apart
  size_t out_stride;
};

// 2^x within 1e-4 of its size for any x that is not above 127: far below what a weight loses when
// it becomes half. The cubic approximates 2^f for f in [0, 1) (a fit of least relative error).
TAILOR_INLINE Floats PowerOfTwo(Floats x) {
  constexpr int kMinusFloor = 0x09;  // what is left after rounding down
  const Floats f = _mm512_reduce_ps(x, kMinusFloor);
  Floats p = MulAdd(Splat(0.07802452F), f, Splat(0.22606716F));
  p = MulAdd(p, f, Splat(0.69583356F));
  p = MulAdd(p, f, Splat(0.9999252F));
  return _mm512_scalef_ps(p, x);  // p * 2^floor(x)
}

// Rows of scores that become weights together: the steps of one wait for each other.
constexpr int kWeightRows = 4;

// kWeightRows rows of scores, `stride` apart, to weights in rows of tiles, 0 behind the last key.
// inverse: 1 / their sums.
TAILOR_INLINE void WeightRows(const float* scores, size_t stride, int num_keys, int key_steps,
                              std::byte* weights, float* inverse) {
  const Floats log2_e = Splat(1.44269504F);
  const Floats lowest = Splat(-3.0e38F);
  Floats largest[kWeightRows] = {lowest, lowest, lowest, lowest};
  const int full = num_keys / kWidth * kWidth;
  for (int k = 0; k < full; k += kWidth) {
#pragma GCC unroll 4
    for (int r = 0; r < kWeightRows; ++r)
      largest[r] = Max(Load(scores + r * stride + k), largest[r]);
  }
  if (full < num_keys) {
    for (int r = 0; r < kWeightRows; ++r) {
      const Floats rest = Load(scores + r * stride + full);
      largest[r] = Max(KeepFirstElse(rest, lowest, num_keys - full), largest[r]);
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < kWeightRows; ++r) largest[r] = Splat(Largest(largest[r])) * log2_e;
  Floats sum[kWeightRows] = {Splat(0), Splat(0), Splat(0), Splat(0)};
  for (int k = 0; k < key_steps * kVectorHalves; k += kVectorHalves, weights += kTileBytes) {
    const __mmask32 there = FirstHalves(num_keys - k);
#pragma GCC unroll 4
    for (int r = 0; r < kWeightRows; ++r) {
      const float* at = scores + r * stride + k;
      const Floats first = _mm512_maskz_mov_ps(
          static_cast<__mmask16>(there), PowerOfTwo(_mm512_fmsub_ps(Load(at), log2_e, largest[r])));
      const Floats second =
          _mm512_maskz_mov_ps(static_cast<__mmask16>(there >> 16),
                              PowerOfTwo(_mm512_fmsub_ps(Load(at + kWidth), log2_e, largest[r])));
      sum[r] = sum[r] + (first + second);
      _mm512_store_si512(weights + r * kTileRowBytes, ToHalves(first, second));
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < kWeightRows; ++r) inverse[r] = 1.0F / Sum(sum[r]);
}

// Rows of sums, each times its factor, to the context's columns from `column`.
TAILOR_INLINE void StoreContext(const HalfAttentionArgs& a, const HalfAttentionLayout& layout,
                                const float* sums, const float* inverse, int row, int rows,
                                int column) {
  const size_t width = static_cast<size_t>(a.num_heads) * a.head_dim;
  for (int r = 0; r < rows; ++r) {
    const Floats factor = Splat(inverse[r]);
    for (int d = 0; 16 * d < a.head_dim; ++d) {
      const Floats v = Load(sums + (static_cast<size_t>(r) * layout.dim_tiles + d) * 16) * factor;
      if (a.tiles.type == kHalf) {
        StoreTileColumns<kHalf>(a.tiles.Row(row + r), column + 16 * d, v);
        continue;
      }
      const int n = a.head_dim - 16 * d;
      _mm512_mask_storeu_ps(a.context + static_cast<size_t>(row + r) * width + column + 16 * d,
                            n >= 16 ? __mmask16{0xFFFF} : First(n), v);
    }
  }
}

// Zeros in the context's tiles behind its last column.
TAILOR_INLINE void PadContext(const HalfAttentionArgs& a) {
  const int width = a.num_heads * a.head_dim;
  if (a.tiles.type != kHalf || width % kVectorHalves == 0) return;
  for (int r = 0; r < a.num_queries; ++r) {
    StoreTileColumns<kHalf>(a.tiles.Row(r), width, Splat(0));
  }
}

// multiply(RowProduct, rows, tiles): the products of that many rows (or more of the 16) and columns
// of tiles.
template <typename Multiply>
TAILOR_INLINE void AttendHeads(const HalfAttentionArgs& a, const Multiply& multiply) {
  const HalfAttentionLayout layout(a.num_keys, a.head_dim);
  std::byte* keys = a.scratch;
  std::byte* values = a.scratch + layout.values();
  std::byte* queries = a.scratch + layout.queries();
  std::byte* weights = a.scratch + layout.weights();
  auto* scores = reinterpret_cast<float*>(a.scratch + layout.scores());
  auto* sums = reinterpret_cast<float*>(a.scratch + layout.sums());
  for (int h = 0; h < a.num_heads; ++h) {
    const int column = h * a.head_dim;
    PackKeyTiles(a, layout, a.key + column, keys);
    PackValueTiles(a, layout, a.value + column, values);
    for (int row = 0; row < a.num_queries; row += kTileRows) {
      const int rows = a.num_queries - row < kTileRows ? a.num_queries - row : kTileRows;
      PackQueryTiles(a, layout, a.query + row * a.query_stride + column, rows, queries);
      multiply(RowProduct{.a = queries,
                          .steps = layout.dim_steps,
                          .b = keys,
                          .tile = kTileBytes * layout.dim_steps,
                          .step = kTileBytes,
                          .out = scores,
                          .out_stride = layout.score_stride()},
               rows, (a.num_keys + 15) / 16);
      float inverse[kTileRows];
      for (int r = 0; r < rows; r += kWeightRows) {
        WeightRows(scores + r * layout.score_stride(), layout.score_stride(), a.num_keys,
                   layout.key_steps, weights + r * kTileRowBytes, inverse + r);
      }
      multiply(RowProduct{.a = weights,
                          .steps = layout.key_steps,
                          .b = values,
                          .tile = kTileBytes,
                          .step = kTileBytes * layout.dim_tiles,
                          .out = sums,
                          .out_stride = static_cast<size_t>(layout.dim_tiles) * 16},
               rows, (a.head_dim + 15) / 16);
      StoreContext(a, layout, sums, inverse, row, rows, column);
    }
  }
  PadContext(a);
}

}  // namespace tailor::TAILOR_ISA
