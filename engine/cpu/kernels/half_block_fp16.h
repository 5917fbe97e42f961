// SPDX-License-Identifier: Apache-2.0
// Products of f16 numbers with vfmadd of f16, two products a lane of 32 bits: a lane holds the sums
// of the even and of the odd columns of one output. Sums of f16 would lose more the longer they
// are, so that they are added to sums of f32 after kChunkSteps tiles, 64 products each (numerics.md
// says what that costs). Blocks of 8 rows and 32 outputs, as with VNNI.
#pragma once

#include "engine/cpu/kernels/block_part_simd.h"
#include "engine/cpu/kernels/simd.h"

namespace tailor::TAILOR_ISA {

constexpr int kChunkSteps = 4;

// Pairs of sums of even and of odd outputs (tile_layout.h), each pair added up: f32 in the order of
// the outputs.
struct PairSums {
  Floats first, second;  // of outputs 0 to 15, 16 to 31
};

TAILOR_INLINE PairSums AddPairs(__m512h even_outputs, __m512h odd_outputs) {
  const __m512i even = _mm512_castph_si512(even_outputs);
  const __m512i odd = _mm512_castph_si512(odd_outputs);
  // Of each lane, the first sum of the even output and the second one of the odd; then the others.
  const __m512i outer = _mm512_mask_blend_epi16(0xAAAAAAAA, even, odd);
  const __m512i inner = _mm512_shrdi_epi32(even, odd, 16);
  const __m512i sums =
      _mm512_castph_si512(_mm512_add_ph(_mm512_castsi512_ph(outer), _mm512_castsi512_ph(inner)));
  return {_mm512_cvtph_ps(_mm512_castsi512_si256(sums)),
          _mm512_cvtph_ps(_mm512_extracti64x4_epi64(sums, 1))};
}

// sums += a tile of activations times the two of weights that stand w_tile apart.
template <int kRows>
TAILOR_INLINE void MultiplyStep(const std::byte* x, const std::byte* w, size_t w_tile,
                                __m512h (&sums)[kRows][2]) {
#pragma GCC unroll 4
  for (int i = 0; i < kTileRowBytes; i += 4) {
    const __m512h w0 = _mm512_castsi512_ph(_mm512_load_si512(w + i * 16));
    const __m512h w1 = _mm512_castsi512_ph(_mm512_load_si512(w + w_tile + i * 16));
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const __m512h row = _mm512_castsi512_ph(SplatBytes(x + r * kTileRowBytes + i));
      sums[r][0] = _mm512_fmadd_ph(row, w0, sums[r][0]);
      sums[r][1] = _mm512_fmadd_ph(row, w1, sums[r][1]);
    }
  }
}

// The block of TileType::kF16.
struct HalfBlock {
  template <int kRows, typename Finisher>
  static void Multiply(const BlockPart& part, Finisher finisher) {
    const std::byte* x = part.x;
    const std::byte* w = part.w;
    const std::byte* prefetch = part.prefetch;
    const int32_t* first = part.first;
    size_t first_stride = part.first_stride;
    for (int begin = 0; begin < part.steps; begin += kChunkSteps) {
      const int end = part.steps - begin < kChunkSteps ? part.steps : begin + kChunkSteps;
      __m512h halves[kRows][2];
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) halves[r][0] = halves[r][1] = _mm512_setzero_ph();
      for (int step = begin; step < end; ++step, x += kTileBytes, w += 2 * kTileBytes) {
        for (int i = 0; i < part.prefetch_lines; ++i, prefetch += 64) {
          _mm_prefetch(prefetch, _MM_HINT_T1);
        }
        MultiplyStep<kRows>(x, w, kTileBytes, halves);
      }
      const bool is_complete = end == part.steps && !finisher.IsDone();
#pragma GCC unroll 4
      for (int r = 0; r < kRows; r += 2) {
        const int second = r + 1 < kRows ? r + 1 : r;
        const auto sums_of = [&](int row) __attribute__((always_inline)) {
          const PairSums added = AddPairs(halves[row][0], halves[row][1]);
          const auto* sums = reinterpret_cast<const float*>(first + row * first_stride);
          return PairSums{Load(sums) + added.first, Load(sums + 16) + added.second};
        };
        const PairSums a = sums_of(r);
        const PairSums b = sums_of(second);
        if (is_complete) {
          if (finisher.IsDone()) break;
          finisher.FinishRows({_mm512_castps_si512(a.first), _mm512_castps_si512(a.second),
                               _mm512_castps_si512(b.first), _mm512_castps_si512(b.second)});
          continue;
        }
        auto* sums = reinterpret_cast<float*>(part.sums + r * kPanelOutputs);
        Store(sums, a.first);
        Store(sums + 16, a.second);
        if (second == r) continue;
        Store(sums + kPanelOutputs, b.first);
        Store(sums + kPanelOutputs + 16, b.second);
      }
      first = part.sums;
      first_stride = kPanelOutputs;
    }
  }
};

}  // namespace tailor::TAILOR_ISA
