// SPDX-License-Identifier: Apache-2.0
// Products of codes with vpdpbusd, which multiplies unsigned bytes by signed ones and adds four
// products to a sum of 32 bits without saturating. Blocks of 8 rows and 32 outputs: 16 vectors of
// sums, which is enough to hide the instruction's latency; every four columns load two vectors of
// weights and four bytes of each row.
#pragma once

#include "engine/cpu/kernels/block_part_simd.h"
#include "engine/cpu/kernels/simd.h"

namespace tailor::TAILOR_ISA {

// The block of TileType::kInt8.
struct CodeBlock {
  template <int kRows, typename Finisher>
  static void Multiply(const BlockPart& part, Finisher finisher) {
    __m512i sums[kRows][2];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      sums[r][0] = _mm512_loadu_si512(part.first + r * part.first_stride);
      sums[r][1] = _mm512_loadu_si512(part.first + r * part.first_stride + 16);
    }
    const std::byte* x = part.x;
    const std::byte* w = part.w;
    const std::byte* prefetch = part.prefetch;
    for (int step = 0; step < part.steps; ++step, x += kTileBytes, w += 2 * kTileBytes) {
      for (int i = 0; i < part.prefetch_lines; ++i, prefetch += 64) {
        _mm_prefetch(prefetch, _MM_HINT_T1);
      }
#pragma GCC unroll 4
      for (int i = 0; i < kTileRowBytes; i += 4) {
        const __m512i w0 = _mm512_load_si512(w + i * 16);
        const __m512i w1 = _mm512_load_si512(w + kTileBytes + i * 16);
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r) {
          const __m512i row = SplatBytes(x + r * kTileRowBytes + i);
          sums[r][0] = _mm512_dpbusd_epi32(sums[r][0], row, w0);
          sums[r][1] = _mm512_dpbusd_epi32(sums[r][1], row, w1);
        }
      }
    }
    if (finisher.IsDone()) {
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        _mm512_store_si512(part.sums + r * kPanelOutputs, sums[r][0]);
        _mm512_store_si512(part.sums + r * kPanelOutputs + 16, sums[r][1]);
      }
      return;
    }
#pragma GCC unroll 4
    for (int r = 0; r < kRows; r += 2) {
      if (finisher.IsDone()) break;
      const int second = r + 1 < kRows ? r + 1 : r;
      finisher.FinishRows({sums[r][0], sums[r][1], sums[second][0], sums[second][1]});
    }
  }
};

}  // namespace tailor::TAILOR_ISA
