// SPDX-License-Identifier: Apache-2.0
// Attention in bf16 on AMX tiles.
#pragma once

#include "engine/cpu/kernels/half_attention_simd.h"
#include "engine/cpu/kernels/simd.h"
#include "engine/cpu/kernels/tile_registers_amx.h"

namespace tailor::TAILOR_ISA {

template <int kTiles>
TAILOR_INLINE void MultiplyRow(const RowProduct& p) {
  _tile_zero(0);
  if constexpr (kTiles > 1) _tile_zero(1);
  if constexpr (kTiles > 2) _tile_zero(2);
  if constexpr (kTiles > 3) _tile_zero(3);
  const std::byte* b = p.b;
  for (int s = 0; s < p.steps; ++s, b += p.step) {
    _tile_loadd(4, p.a + s * kTileBytes, kTileRowBytes);
    _tile_loadd(5, b, kTileRowBytes);
    _tile_dpbf16ps(0, 4, 5);
    if constexpr (kTiles > 1) {
      _tile_loadd(6, b + p.tile, kTileRowBytes);
      _tile_dpbf16ps(1, 4, 6);
    }
    if constexpr (kTiles > 2) {
      _tile_loadd(7, b + 2 * p.tile, kTileRowBytes);
      _tile_dpbf16ps(2, 4, 7);
    }
    if constexpr (kTiles > 3) {
      _tile_loadd(5, b + 3 * p.tile, kTileRowBytes);
      _tile_dpbf16ps(3, 4, 5);
    }
  }
  const size_t stride = p.out_stride * sizeof(float);
  _tile_stored(0, p.out, stride);
  if constexpr (kTiles > 1) _tile_stored(1, p.out + 16, stride);
  if constexpr (kTiles > 2) _tile_stored(2, p.out + 32, stride);
  if constexpr (kTiles > 3) _tile_stored(3, p.out + 48, stride);
}

// All `tiles` columns, four at a time.
TAILOR_INLINE void MultiplyRow(RowProduct p, int tiles) {
  for (; tiles >= 4; tiles -= 4) {
    MultiplyRow<4>(p);
    p.b += 4 * p.tile;
    p.out += 64;
  }
  switch (tiles) {
    case 3:
      return MultiplyRow<3>(p);
    case 2:
      return MultiplyRow<2>(p);
    case 1:
      return MultiplyRow<1>(p);
    default:
      return;
  }
}

static void HalfAttention(const HalfAttentionArgs& a) noexcept {
  ConfigureTiles();
  AttendHeads(
      a, [](const RowProduct& p, int, int tiles)
             __attribute__((always_inline)) { MultiplyRow(p, tiles); });
  ReleaseTiles();
}

}  // namespace tailor::TAILOR_ISA
