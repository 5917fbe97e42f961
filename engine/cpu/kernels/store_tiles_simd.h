// SPDX-License-Identifier: Apache-2.0
// For the instruction sets with tiles: all have AVX-512, those with tiles of bf16 also its
// conversions.
#pragma once

#include "engine/cpu/kernels/int8_simd.h"
#include "engine/cpu/kernels/simd.h"
#include "engine/cpu/kernels/store_tiles.h"

namespace tailor::TAILOR_ISA {

// What half rows and tiles of the instruction set hold.
#if defined(__AVX512BF16__)

constexpr TileType kHalf = TileType::kBf16;

TAILOR_INLINE __m256i ToHalves(Floats v) { return (__m256i)_mm512_cvtneps_pbh(v); }
TAILOR_INLINE __m512i ToHalves(Floats first, Floats second) {
  return (__m512i)_mm512_cvtne2ps_pbh(second, first);
}
TAILOR_INLINE Floats FromHalves(__m256i v) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(v), 16));
}

#elif defined(__AVX512FP16__)

constexpr TileType kHalf = TileType::kF16;

TAILOR_INLINE __m256i ToHalves(Floats v) {
  return _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
TAILOR_INLINE __m512i ToHalves(Floats first, Floats second) {
  return _mm512_inserti64x4(_mm512_castsi256_si512(ToHalves(first)), ToHalves(second), 1);
}
TAILOR_INLINE Floats FromHalves(__m256i v) { return _mm512_cvtph_ps(v); }

#else

constexpr TileType kHalf = TileType::kNone;

#endif

#if defined(__AVX512BF16__) || defined(__AVX512FP16__)

// 16 columns of one row, from `column`, a multiple of 16. `row` is that of TileRows::Row.
template <TileType kType>
TAILOR_INLINE void StoreTileColumns(std::byte* row, int column, Floats v) {
  constexpr int kColumns = TileColumns(kType);
  std::byte* at = row + static_cast<size_t>(column / kColumns) * kTileBytes * TileParts(kType) +
                  column % kColumns * sizeof(uint16_t);
  const __m256i high = ToHalves(v);
  _mm256_store_si256(reinterpret_cast<__m256i*>(at), high);
  if constexpr (kType == TileType::kSplitBf16) {
    _mm256_store_si256(reinterpret_cast<__m256i*>(at + kTileBytes), ToHalves(v - FromHalves(high)));
  }
}

template <TileType kType>
TAILOR_INLINE void StoreHalfRow(const float* x, const TileRows& tiles, std::byte* row) {
  const int padded = TileSteps(kType, tiles.columns) * TileColumns(kType);
  int i = 0;
  for (; i + kWidth <= tiles.columns; i += kWidth) StoreTileColumns<kType>(row, i, Load(x + i));
  if (i < tiles.columns) {
    StoreTileColumns<kType>(row, i, LoadFirst(x + i, tiles.columns - i));
    i += kWidth;
  }
  for (; i < padded; i += kWidth) StoreTileColumns<kType>(row, i, Splat(0));
}

TAILOR_INLINE void StoreFloatRow(const float* x, const TileRows& tiles, std::byte* row) {
  if (tiles.type == kHalf) return StoreHalfRow<kHalf>(x, tiles, row);
  if constexpr (kHalf == TileType::kBf16) StoreHalfRow<TileType::kSplitBf16>(x, tiles, row);
}

#else

TAILOR_INLINE void StoreFloatRow(const float*, const TileRows&, std::byte*) {}

#endif

#if defined(__AVX512VNNI__) || defined(__AMX_TILE__)

// Codes in tiles are that much larger: VNNI multiplies unsigned bytes by signed ones.
#if defined(__AMX_TILE__)
constexpr int kCodeOffset = 0;
#else
constexpr int kCodeOffset = 128;
#endif

// x / scale, rounded as vdivps rounds it: an estimate from the rounded reciprocal and two
// corrections, whose remainders are exact. A division has a quarter of the speed.
TAILOR_INLINE Floats Quotient(Floats x, Floats scale, Floats reciprocal) {
  Floats q = x * reciprocal;
  q = MulAdd(_mm512_fnmadd_ps(q, scale, x), reciprocal, q);
  return MulAdd(_mm512_fnmadd_ps(q, scale, x), reciprocal, q);
}

// 64 whole numbers, rounded and packed in their order: a byte each, saturated, then offset.
TAILOR_INLINE __m512i PackCodes(const Floats (&v)[4]) {
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512i low = _mm512_packs_epi32(_mm512_cvtps_epi32(v[0]), _mm512_cvtps_epi32(v[1]));
  const __m512i high = _mm512_packs_epi32(_mm512_cvtps_epi32(v[2]), _mm512_cvtps_epi32(v[3]));
  const __m512i codes = _mm512_permutexvar_epi32(order, _mm512_packs_epi16(low, high));
  if constexpr (kCodeOffset == 0) return codes;
  return _mm512_xor_si512(codes, _mm512_set1_epi8(static_cast<char>(kCodeOffset)));
}

// code: a vector of x to what is rounded to codes.
template <typename Code>
TAILOR_INLINE void StoreCodesOf(const float* x, int columns, std::byte* row, const Code& code) {
  int i = 0;
  for (; i + 64 <= columns; i += 64, row += kTileBytes) {
    Floats v[4];
#pragma GCC unroll 4
    for (int n = 0; n < 4; ++n) v[n] = code(Load(x + i + n * kWidth));
    _mm512_store_si512(row, PackCodes(v));
  }
  if (i == columns) return;
  Floats v[4];
  for (int n = 0; n < 4; ++n) {
    const int left = columns - i - n * kWidth;
    v[n] = left >= kWidth ? code(Load(x + i + n * kWidth))
           : left > 0     ? KeepFirst(code(LoadFirst(x + i + n * kWidth, left)), left)
                          : Splat(0);
  }
  _mm512_store_si512(row, PackCodes(v));
}

TAILOR_INLINE void StoreCodeRow(const float* x, const TileRows& tiles, std::byte* row,
                                float* scale_out) {
  const float largest = LargestOfRow(x, tiles.columns);
  const float scale = ScaleOfRow(largest, tiles.fixed_scale);
  *scale_out = scale;
  const Floats divisor = Splat(scale);
  const Floats reciprocal = Splat(1.0F / scale);
  // Far from the ends of f32's range nothing overflows and no remainder that counts is subnormal.
  const bool is_plain = scale > 1e-15F && scale < 1e15F && largest < 1e20F;
  if (!is_plain) {
    StoreCodesOf(x, tiles.columns, row, [&](Floats v) { return ClampToCode(v / divisor); });
  } else if (tiles.fixed_scale > 0.0F) {
    StoreCodesOf(x, tiles.columns, row,
                 [&](Floats v) { return ClampToCode(Quotient(v, divisor, reciprocal)); });
  } else {  // the largest gives 127: nothing is beyond it
    StoreCodesOf(x, tiles.columns, row, [&](Floats v) { return Quotient(v, divisor, reciprocal); });
  }
}

TAILOR_INLINE void StoreTileRow(const float* x, const TileRows& tiles, int r) {
  switch (tiles.type) {
    case TileType::kNone:
      return;
    case TileType::kBf16:
    case TileType::kSplitBf16:
    case TileType::kF16:
      return StoreFloatRow(x, tiles, tiles.Row(r));
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
