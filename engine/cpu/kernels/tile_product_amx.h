// SPDX-License-Identifier: Apache-2.0
// Blocks of 32 rows and 32 outputs: four tiles of sums, two of activations, two of weights. The
// sums of a block go to a buffer in the first-level cache and are finished (scaled, activated,
// stored) between the tile instructions of the next block, where the vector units are idle.
#pragma once

#include "engine/cpu/kernels/bias_activation_simd.h"
#include "engine/cpu/kernels/simd.h"
#include "engine/cpu/kernels/store_tiles_simd.h"
#include "engine/cpu/kernels/tile_product.h"

namespace tailor::TAILOR_ISA {

constexpr int kBlockRows = 2 * kTileRows;

struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};

// Eight tiles of 16 rows and 64 bytes, until ReleaseTiles.
TAILOR_INLINE void ConfigureTiles() {
  TileConfig config;
  for (int i = 0; i < 8; ++i) {
    config.row_bytes[i] = kTileRowBytes;
    config.rows[i] = kTileRows;
  }
  _tile_loadconfig(&config);
}
TAILOR_INLINE void ReleaseTiles() { _tile_release(); }

// One step of a block: sums += activations * weights, over the columns of one tile. Tiles 0 to 3
// are the sums, 4 and 5 activations, 6 and 7 weights; a block of 16 rows has no tiles 2, 3 and 5.
template <TileType kType, int kTiles>
TAILOR_INLINE void MultiplyStep(const std::byte* x0, const std::byte* x1, const std::byte* w) {
  _tile_loadd(4, x0, kTileRowBytes);
  _tile_loadd(6, w, kTileRowBytes);
  _tile_loadd(7, w + kTileBytes, kTileRowBytes);
  if constexpr (kType == TileType::kInt8) {
    _tile_dpbssd(0, 4, 6);
    _tile_dpbssd(1, 4, 7);
    if constexpr (kTiles == 2) {
      _tile_loadd(5, x1, kTileRowBytes);
      _tile_dpbssd(2, 5, 6);
      _tile_dpbssd(3, 5, 7);
    }
    return;
  }
  _tile_dpbf16ps(0, 4, 6);
  _tile_dpbf16ps(1, 4, 7);
  if constexpr (kTiles == 2) {
    _tile_loadd(5, x1, kTileRowBytes);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  if constexpr (kType == TileType::kSplitBf16) {
    // high * high is done; high * low, then low * high.
    _tile_loadd(6, w + 2 * kTileBytes, kTileRowBytes);
    _tile_loadd(7, w + 3 * kTileBytes, kTileRowBytes);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    if constexpr (kTiles == 2) {
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
    _tile_loadd(6, w, kTileRowBytes);
    _tile_loadd(7, w + kTileBytes, kTileRowBytes);
    _tile_loadd(4, x0 + kTileBytes, kTileRowBytes);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    if constexpr (kTiles == 2) {
      _tile_loadd(5, x1 + kTileBytes, kTileRowBytes);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
  }
}

// The sums of one block that wait to be finished.
struct Unfinished {
  const int32_t* sums = nullptr;  // [kBlockRows, kPanelOutputs]; the bits of f32 unless kInt8
  int row = 0;                    // of the call
  int column = 0;
  int rows = 0;  // 0: nothing waits
  int done = 0;  // rows that are finished
};

enum class TileActivation { kNone, kGeluErf, kGeluTanh, kRelu };

template <TileActivation kActivation, int kVectors>
TAILOR_INLINE void ActivateTile(Floats (&v)[kVectors]) {
  if constexpr (kActivation == TileActivation::kGeluErf) {
    Activate<KernelActivation::kGeluErf>(v);
  } else if constexpr (kActivation == TileActivation::kGeluTanh) {
    Activate<KernelActivation::kGeluTanh>(v);
  } else if constexpr (kActivation == TileActivation::kRelu) {
    Activate<KernelActivation::kRelu>(v);
  }
}

// What the rows of one block have in common.
struct PanelVectors {
  Floats bias[2];
  Floats scale[2];  // kInt8 only
};

template <TileType kType, TileActivation kActivation>
TAILOR_INLINE void StoreHalf(const TileProductArgs& a, int row, int column, Floats v) {
  const int n = a.out - column;
  if constexpr (kType != TileType::kInt8 && kActivation != TileActivation::kNone) {
    if (n < 16) v = n > 0 ? KeepFirst(v, n) : Splat(0.0F);
    StoreTileColumns<kType>(a.y_tiles.Row(row), column, v);
  } else {
    float* y = a.y + static_cast<size_t>(row) * a.y_stride + column;
    if (n >= 16) {
      Store(y, v);
    } else if (n > 0) {
      StoreFirst(y, v, n);
    }
  }
}

template <TileType kType, TileActivation kActivation, int kRows>
TAILOR_INLINE void FinishSomeRows(const TileProductArgs& a, const PanelVectors& panel,
                                  Unfinished& u) {
  Floats v[2 * kRows];
  for (int i = 0; i < 2 * kRows; ++i) {
    const __m512i sums = _mm512_load_si512(u.sums + u.done * kPanelOutputs + 16 * i);
    if constexpr (kType == TileType::kInt8) {
      const Floats row_scale = Splat(a.x.scales[a.x.first_row + u.row + u.done + i / 2]);
      v[i] = MulAdd(_mm512_cvtepi32_ps(sums), row_scale * panel.scale[i % 2], panel.bias[i % 2]);
    } else {
      v[i] = _mm512_castsi512_ps(sums) + panel.bias[i % 2];
    }
  }
  ActivateTile<kActivation>(v);
  for (int i = 0; i < 2 * kRows; ++i) {
    StoreHalf<kType, kActivation>(a, u.row + u.done + i / 2, u.column + i % 2 * 16, v[i]);
  }
  u.done += kRows;
}

template <TileType kType, TileActivation kActivation>
TAILOR_INLINE void FinishRows(const TileProductArgs& a, const PanelVectors& panel, Unfinished& u,
                              int rows) {
  const int end = u.done + rows < u.rows ? u.done + rows : u.rows;
  while (u.done + 2 <= end) FinishSomeRows<kType, kActivation, 2>(a, panel, u);
  if (u.done < end) FinishSomeRows<kType, kActivation, 1>(a, panel, u);
}

template <TileType kType>
TAILOR_INLINE PanelVectors LoadPanel(const TileProductArgs& a, int column) {
  PanelVectors panel;
  for (int half = 0; half < 2; ++half) {
    panel.bias[half] = Load(a.bias + column + 16 * half);
    if constexpr (kType == TileType::kInt8) {
      panel.scale[half] = Load(a.column_scale + column + 16 * half);
    }
  }
  return panel;
}

// The sums of kTiles * 16 rows, to `sums`, while what waits is finished.
template <TileType kType, TileActivation kActivation, int kTiles>
TAILOR_INLINE void MultiplyBlock(const TileProductArgs& a, const std::byte* x, size_t x_block,
                                 const std::byte* w, int steps, int32_t* sums, Unfinished& u) {
  constexpr size_t kStepBytes = kTileBytes * TileParts(kType);
  const int rows_per_step = ((u.rows + steps - 1) / steps + 1) / 2 * 2;
  const PanelVectors panel = LoadPanel<kType>(a, u.column);
  _tile_zero(0);
  _tile_zero(1);
  if constexpr (kTiles == 2) {
    _tile_zero(2);
    _tile_zero(3);
  }
  for (int step = 0; step < steps; ++step) {
    MultiplyStep<kType, kTiles>(x, x + x_block, w);
    x += kStepBytes;
    w += 2 * kStepBytes;
    FinishRows<kType, kActivation>(a, panel, u, rows_per_step);
  }
  constexpr int kStride = kPanelOutputs * sizeof(int32_t);
  _tile_stored(0, sums, kStride);
  _tile_stored(1, sums + 16, kStride);
  if constexpr (kTiles == 2) {
    _tile_stored(2, sums + kTileRows * kPanelOutputs, kStride);
    _tile_stored(3, sums + kTileRows * kPanelOutputs + 16, kStride);
  }
}

template <TileType kType, TileActivation kActivation>
static void TileProductOf(const TileProductArgs& a) noexcept {
  alignas(64) int32_t sums[2][kBlockRows * kPanelOutputs];
  const int steps = TileSteps(kType, a.x.columns);
  const size_t x_block = TileBlockBytes(kType, a.x.columns);
  const std::byte* x = a.x.Row(0);
  Unfinished waiting;
  int buffer = 0;
  for (int column = 0; column < a.out; column += kPanelOutputs) {
    const std::byte* w = a.weight + static_cast<size_t>(column / kPanelOutputs) * a.panel_bytes;
    for (int row = 0; row < a.rows; row += kBlockRows) {
      const std::byte* block = x + static_cast<size_t>(row / kTileRows) * x_block;
      const int rows = a.rows - row < kBlockRows ? a.rows - row : kBlockRows;
      if (rows > kTileRows) {
        MultiplyBlock<kType, kActivation, 2>(a, block, x_block, w, steps, sums[buffer], waiting);
      } else {
        MultiplyBlock<kType, kActivation, 1>(a, block, x_block, w, steps, sums[buffer], waiting);
      }
      waiting = {.sums = sums[buffer], .row = row, .column = column, .rows = rows, .done = 0};
      buffer ^= 1;
    }
  }
  FinishRows<kType, kActivation>(a, LoadPanel<kType>(a, waiting.column), waiting, waiting.rows);
}

template <TileType kType>
static void TileProductOf(const TileProductArgs& a) noexcept {
  if (!a.activates) return TileProductOf<kType, TileActivation::kNone>(a);
  switch (a.activation) {
    case KernelActivation::kGeluErf:
      return TileProductOf<kType, TileActivation::kGeluErf>(a);
    case KernelActivation::kGeluTanh:
      return TileProductOf<kType, TileActivation::kGeluTanh>(a);
    default:
      return TileProductOf<kType, TileActivation::kRelu>(a);
  }
}

static void TileProduct(const TileProductArgs& a) noexcept {
  ConfigureTiles();
  switch (a.x.type) {
    case TileType::kNone:
      break;
    case TileType::kBf16:
      TileProductOf<TileType::kBf16>(a);
      break;
    case TileType::kSplitBf16:
      TileProductOf<TileType::kSplitBf16>(a);
      break;
    case TileType::kInt8:
      TileProductOf<TileType::kInt8>(a);
      break;
  }
  ReleaseTiles();
}

}  // namespace tailor::TAILOR_ISA
