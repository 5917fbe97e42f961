// SPDX-License-Identifier: Apache-2.0
// Attention in f16 by vectors.
#pragma once

#include "engine/cpu/kernels/half_attention_simd.h"
#include "engine/cpu/kernels/half_block_fp16.h"
#include "engine/cpu/kernels/simd.h"

namespace tailor::TAILOR_ISA {

// kRows rows, the first two columns of tiles: 32 outputs.
template <int kRows>
static void MultiplyRows(const RowProduct& p) noexcept {
  const std::byte* x = p.a;
  const std::byte* w = p.b;
  for (int begin = 0; begin < p.steps; begin += kChunkSteps) {
    const int end = p.steps - begin < kChunkSteps ? p.steps : begin + kChunkSteps;
    __m512h halves[kRows][2];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) halves[r][0] = halves[r][1] = _mm512_setzero_ph();
    for (int step = begin; step < end; ++step, x += kTileBytes, w += p.step) {
      MultiplyStep<kRows>(x, w, p.tile, halves);
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      PairSums sums = AddPairs(halves[r][0], halves[r][1]);
      float* out = p.out + r * p.out_stride;
      if (begin > 0) sums = {sums.first + Load(out), sums.second + Load(out + 16)};
      Store(out, sums.first);
      Store(out + 16, sums.second);
    }
  }
}

TAILOR_INLINE void MultiplyRows(RowProduct p, int rows, int tiles) {
  for (int tile = 0; tile < tiles; tile += 2, p.b += 2 * p.tile, p.out += 32) {
    RowProduct block = p;
    for (int left = rows; left > 0; left -= kBlockRows) {
      if (left == 1) {
        MultiplyRows<1>(block);
      } else if (left <= 4) {
        MultiplyRows<4>(block);
      } else {
        MultiplyRows<kBlockRows>(block);
      }
      block.a += kBlockRows * kTileRowBytes;
      block.out += kBlockRows * p.out_stride;
    }
  }
}

static void HalfAttention(const HalfAttentionArgs& a) noexcept {
  AttendHeads(
      a, [](const RowProduct& p, int rows, int tiles)
             __attribute__((always_inline)) { MultiplyRows(p, rows, tiles); });
}

}  // namespace tailor::TAILOR_ISA
