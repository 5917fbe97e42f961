// SPDX-License-Identifier: Apache-2.0
// For the instruction sets with tiles: all have AVX-512 with bf16 conversions.
#pragma once

#include "engine/cpu/kernels/int8_simd.h"
#include "engine/cpu/kernels/simd.h"
#include "engine/cpu/kernels/store_tiles.h"

namespace tailor::TAILOR_ISA {

#if defined(__AVX512BF16__)

TAILOR_INLINE __m256i ToBf16(Floats v) { return (__m256i)_mm512_cvtneps_pbh(v); }
TAILOR_INLINE Floats FromBf16(__m256i v) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(v), 16));
}

// 16 columns of one row, from `column`, a multiple of 16. `row` is that of TileRows::Row.
template <TileType kType>
TAILOR_INLINE void StoreTileColumns(std::byte* row, int column, Floats v) {
  constexpr int kColumns = TileColumns(kType);
  std::byte* at = row + static_cast<size_t>(column / kColumns) * kTileBytes * TileParts(kType) +
                  column % kColumns * sizeof(uint16_t);
  const __m256i high = ToBf16(v);
  _mm256_store_si256(reinterpret_cast<__m256i*>(at), high);
  if constexpr (kType == TileType::kSplitBf16) {
    _mm256_store_si256(reinterpret_cast<__m256i*>(at + kTileBytes), ToBf16(v - FromBf16(high)));
  }
}

template <TileType kType>
TAILOR_INLINE void StoreBf16Row(const float* x, const TileRows& tiles, std::byte* row) {
  const int padded = TileSteps(kType, tiles.columns) * TileColumns(kType);
  int i = 0;
  for (; i + kWidth <= tiles.columns; i += kWidth) StoreTileColumns<kType>(row, i, Load(x + i));
  if (i < tiles.columns) {
    StoreTileColumns<kType>(row, i, LoadFirst(x + i, tiles.columns - i));
    i += kWidth;
  }
  for (; i < padded; i += kWidth) StoreTileColumns<kType>(row, i, Splat(0));
}

// x / scale, rounded as vdivps rounds it: an estimate from the rounded reciprocal and two
// corrections, whose remainders are exact. A division has a quarter of the speed.
TAILOR_INLINE Floats Quotient(Floats x, Floats scale, Floats reciprocal) {
  Floats q = x * reciprocal;
  q = MulAdd(_mm512_fnmadd_ps(q, scale, x), reciprocal, q);
  return MulAdd(_mm512_fnmadd_ps(q, scale, x), reciprocal, q);
}

TAILOR_INLINE void StoreCodeRow(const float* x, const TileRows& tiles, std::byte* row,
                                float* scale_out) {
  const int columns = tiles.columns;
  const float largest = LargestOfRow(x, columns);
  const float scale = ScaleOfRow(largest, tiles.fixed_scale);
  *scale_out = scale;
  const Floats divisor = Splat(scale);
  const Floats reciprocal = Splat(1.0F / scale);
  // Far from the ends of f32's range nothing overflows and no remainder that counts is subnormal.
  const bool is_plain = scale > 1e-15F && scale < 1e15F && largest < 1e20F;
  const auto code = [&](Floats v) {
    return ClampToCode(is_plain ? Quotient(v, divisor, reciprocal) : v / divisor);
  };
  const auto at = [&](int i) {
    return reinterpret_cast<int8_t*>(row + static_cast<size_t>(i / 64) * kTileBytes + i % 64);
  };
  int i = 0;
  for (; i + kWidth <= columns; i += kWidth) StoreCodes(at(i), code(Load(x + i)));
  if (i < columns) {
    StoreCodes(at(i), KeepFirst(code(LoadFirst(x + i, columns - i)), columns - i));
    i += kWidth;
  }
  for (; i % 64 != 0; i += kWidth) StoreCodes(at(i), Splat(0));
}

TAILOR_INLINE void StoreTileRow(const float* x, const TileRows& tiles, int r) {
  switch (tiles.type) {
    case TileType::kNone:
      return;
    case TileType::kBf16:
      return StoreBf16Row<TileType::kBf16>(x, tiles, tiles.Row(r));
    case TileType::kSplitBf16:
      return StoreBf16Row<TileType::kSplitBf16>(x, tiles, tiles.Row(r));
    case TileType::kInt8:
      return StoreCodeRow(x, tiles, tiles.Row(r), tiles.scales + tiles.first_row + r);
  }
}

static void StoreTiles(const StoreTilesArgs& a) noexcept {
  for (int r = 0; r < a.rows; ++r) StoreTileRow(a.x + r * a.x_stride, a.tiles, r);
}

#else

TAILOR_INLINE void StoreTileRow(const float*, const TileRows&, int) {}

#endif

}  // namespace tailor::TAILOR_ISA
