// SPDX-License-Identifier: Apache-2.0
// Blocks of 32 rows and 32 outputs: four tiles of sums, two of activations, two of weights. The
// sums of a block go to a buffer in the first-level cache and are finished (tile_finisher_simd.h)
// between the tile instructions of the next block, where the vector units are idle.
#pragma once

#include "engine/cpu/kernels/simd.h"
#include "engine/cpu/kernels/tile_finisher_simd.h"
#include "engine/cpu/kernels/tile_product.h"
#include "engine/cpu/kernels/tile_registers_amx.h"

namespace tailor::TAILOR_ISA {

constexpr int kBlockRows = 2 * kTileRows;

// One step of a block: sums += activations * weights, over the columns of one tile. Tiles 0 to 3
// are the sums, 4 and 5 activations, 6 and 7 weights; a block of 16 rows has no tiles 2, 3 and 5.
// Activations are loaded with the hint that they are read once, so that they do not drive the
// weights, which every block reads, out of the first-level cache.
template <TileType kType, int kTiles>
TAILOR_INLINE void MultiplyStep(const std::byte* x0, const std::byte* x1, const std::byte* w) {
  _tile_stream_loadd(4, x0, kTileRowBytes);
  _tile_loadd(6, w, kTileRowBytes);
  _tile_loadd(7, w + kTileBytes, kTileRowBytes);
  if constexpr (kType == TileType::kInt8) {
    _tile_dpbssd(0, 4, 6);
    _tile_dpbssd(1, 4, 7);
    if constexpr (kTiles == 2) {
      _tile_stream_loadd(5, x1, kTileRowBytes);
      _tile_dpbssd(2, 5, 6);
      _tile_dpbssd(3, 5, 7);
    }
    return;
  }
  _tile_dpbf16ps(0, 4, 6);
  _tile_dpbf16ps(1, 4, 7);
  if constexpr (kTiles == 2) {
    _tile_stream_loadd(5, x1, kTileRowBytes);
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
    _tile_stream_loadd(4, x0 + kTileBytes, kTileRowBytes);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    if constexpr (kTiles == 2) {
      _tile_stream_loadd(5, x1 + kTileBytes, kTileRowBytes);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
  }
}

// A block's share of some columns of the activations.
struct BlockPart {
  const std::byte* x;
  size_t x_block;  // bytes from 16 rows to the next
  const std::byte* w;
  int steps;
  bool adds;                  // to what is in sums
  int32_t* sums;              // [kBlockRows, kPanelOutputs]
  const std::byte* prefetch;  // weights that will be read
  int prefetch_lines;         // each step
};

template <int kTiles>
TAILOR_INLINE void LoadSums(const int32_t* sums) {
  constexpr int kStride = kPanelOutputs * sizeof(int32_t);
  _tile_loadd(0, sums, kStride);
  _tile_loadd(1, sums + 16, kStride);
  if constexpr (kTiles == 2) {
    _tile_loadd(2, sums + kTileRows * kPanelOutputs, kStride);
    _tile_loadd(3, sums + kTileRows * kPanelOutputs + 16, kStride);
  }
}

template <int kTiles>
TAILOR_INLINE void StoreSums(int32_t* sums) {
  constexpr int kStride = kPanelOutputs * sizeof(int32_t);
  _tile_stored(0, sums, kStride);
  _tile_stored(1, sums + 16, kStride);
  if constexpr (kTiles == 2) {
    _tile_stored(2, sums + kTileRows * kPanelOutputs, kStride);
    _tile_stored(3, sums + kTileRows * kPanelOutputs + 16, kStride);
  }
}

// The sums of kTiles * 16 rows, while what waits is finished.
template <TileType kType, int kTiles, typename Waiting>
TAILOR_INLINE void MultiplyBlock(const BlockPart& part, Waiting waiting) {
  constexpr size_t kStepBytes = kTileBytes * TileParts(kType);
  if (part.adds) {
    LoadSums<kTiles>(part.sums);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    if constexpr (kTiles == 2) {
      _tile_zero(2);
      _tile_zero(3);
    }
  }
  const std::byte* x = part.x;
  const std::byte* w = part.w;
  const std::byte* prefetch = part.prefetch;
  int due = 0;  // pairs of rows times steps
  for (int step = 0; step < part.steps; ++step) {
    MultiplyStep<kType, kTiles>(x, x + part.x_block, w);
    x += kStepBytes;
    w += 2 * kStepBytes;
    for (int i = 0; i < part.prefetch_lines; ++i, prefetch += 64) {
      _mm_prefetch(prefetch, _MM_HINT_T1);
    }
    for (due += kBlockRows / 2; due > 0 && !waiting.IsDone(); due -= part.steps) {
      waiting.FinishRows();
    }
  }
  StoreSums<kTiles>(part.sums);  // the buffer may be the one that has just been finished
}

// Steps that are done for all rows before the next ones: their weights, and the activations of a
// block, stay in the first-level cache.
constexpr int kPartSteps = 16;

template <TileType kType, TileActivation kActivation,
          TileOutput kOutput = OutputOf(kType, kActivation)>
static void TileProductOf(const TileProductArgs& a) noexcept {
  using Waiting = Finisher<kType, kActivation, kOutput>;
  constexpr size_t kStepBytes = kTileBytes * TileParts(kType);
  alignas(64) int32_t sums[kMaxTileProductRows * kPanelOutputs];
  const int steps = TileSteps(kType, a.columns > 0 ? a.columns : a.x.columns);
  const size_t first_step = a.first_column / TileColumns(kType);
  const std::byte* x = a.x.Row(0) + first_step * kStepBytes;
  const std::byte* weight = a.weight + first_step * 2 * kStepBytes;
  const int parts = (steps * TileParts(kType) + kPartSteps - 1) / kPartSteps;
  const int blocks = (a.rows + kBlockRows - 1) / kBlockRows;
  const int prefetch_lines = (static_cast<int>(2 * kStepBytes / 64) + blocks - 1) / blocks;
  const size_t x_block = TileBlockBytes(kType, a.x.columns);
  Waiting waiting;
  for (int column = 0; column < a.out; column += kPanelOutputs) {
    const std::byte* panel = weight + static_cast<size_t>(column / kPanelOutputs) * a.panel_bytes;
    for (int part = 0; part < parts; ++part) {
      const int first = steps * part / parts;
      const int end = steps * (part + 1) / parts;
      const bool is_last = part + 1 == parts;
      const std::byte* next = is_last ? panel + a.panel_bytes : panel + 2 * kStepBytes * end;
      for (int block = 0; block < blocks; ++block) {
        const int row = block * kBlockRows;
        const int rows = a.rows - row < kBlockRows ? a.rows - row : kBlockRows;
        const int lines_before = block * prefetch_lines * (end - first);
        const BlockPart block_part = {.x = x + row / kTileRows * x_block + kStepBytes * first,
                                      .x_block = x_block,
                                      .w = panel + 2 * kStepBytes * first,
                                      .steps = end - first,
                                      .adds = part > 0,
                                      // One buffer for all blocks stays in the first-level cache.
                                      .sums = sums + (parts == 1 ? 0 : row * kPanelOutputs),
                                      .prefetch = next + static_cast<size_t>(lines_before) * 64,
                                      .prefetch_lines = prefetch_lines};
        if (rows > kTileRows) {
          MultiplyBlock<kType, 2>(block_part, waiting);
        } else {
          MultiplyBlock<kType, 1>(block_part, waiting);
        }
        waiting = Waiting(a, block_part.sums, row, column, is_last ? rows : 0);
      }
    }
  }
  while (!waiting.IsDone()) waiting.FinishRows();
}

template <TileType kType>
static void TileProductOf(const TileProductArgs& a) noexcept {
  if (a.y_half != nullptr) {
    return TileProductOf<kType, TileActivation::kNone, TileOutput::kHalves>(a);
  }
  if (a.adds) {
    return TileProductOf<kType, TileActivation::kNone, TileOutput::kAddedFloats>(a);
  }
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
    case TileType::kF16:
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
