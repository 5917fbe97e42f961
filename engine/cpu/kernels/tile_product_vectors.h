// SPDX-License-Identifier: Apache-2.0
// Tile products where vectors multiply instead of tiles: of codes with VNNI, of f16 with
// AVX512-FP16.
#pragma once

#include "engine/cpu/kernels/block_part_simd.h"
#include "engine/cpu/kernels/code_block_vnni.h"
#if defined(__AVX512FP16__)
#include "engine/cpu/kernels/half_block_fp16.h"
#endif
#include "engine/cpu/kernels/simd.h"
#include "engine/cpu/kernels/tile_finisher_simd.h"
#include "engine/cpu/kernels/tile_product.h"

namespace tailor::TAILOR_ISA {

// Of `rows` rows or one more: there is room for 16 in each block of tiles.
template <typename Block, typename Finisher>
TAILOR_INLINE void MultiplyBlock(const BlockPart& part, int rows, const Finisher& finisher) {
  if (rows > 6) return Block::template Multiply<8>(part, finisher);
  if (rows > 4) return Block::template Multiply<6>(part, finisher);
  if (rows > 2) return Block::template Multiply<4>(part, finisher);
  if (rows == 2) return Block::template Multiply<2>(part, finisher);
  Block::template Multiply<1>(part, finisher);
}

// Steps that are done for all rows before the next ones: their weights, and the activations of a
// block, stay in the first-level cache.
constexpr int kPartSteps = 16;

template <TileType kType, typename Block, TileActivation kActivation,
          TileOutput kOutput = OutputOf(kType, kActivation)>
static void TileProductOf(const TileProductArgs& a) noexcept {
  alignas(64) static constexpr int32_t kZeros[kPanelOutputs] = {};
  alignas(64) int32_t sums[kMaxTileProductRows * kPanelOutputs];
  const int steps = TileSteps(kType, a.columns > 0 ? a.columns : a.x.columns);
  const size_t first_step = a.first_column / TileColumns(kType);
  const std::byte* weight = a.weight + first_step * 2 * kTileBytes;
  const int parts = (steps + kPartSteps - 1) / kPartSteps;
  const int blocks = (a.rows + kBlockRows - 1) / kBlockRows;
  const int prefetch_lines = (static_cast<int>(2 * kTileBytes / 64) + blocks - 1) / blocks;
  for (int column = 0; column < a.out; column += kPanelOutputs) {
    const std::byte* panel = weight + static_cast<size_t>(column / kPanelOutputs) * a.panel_bytes;
    const int32_t* start = kType == TileType::kInt8 ? a.first_sums + column : kZeros;
    for (int part = 0; part < parts; ++part) {
      const int first = steps * part / parts;
      const int end = steps * (part + 1) / parts;
      const bool is_last = part + 1 == parts;
      const std::byte* next = is_last ? panel + a.panel_bytes : panel + 2 * kTileBytes * end;
      for (int block = 0; block < blocks; ++block) {
        const int row = block * kBlockRows;
        const int rows = a.rows - row < kBlockRows ? a.rows - row : kBlockRows;
        const int lines_before = block * prefetch_lines * (end - first);
        int32_t* block_sums = sums + row * kPanelOutputs;
        const BlockPart block_part = {.x = a.x.Row(row) + kTileBytes * (first_step + first),
                                      .w = panel + 2 * kTileBytes * first,
                                      .steps = end - first,
                                      .first = part == 0 ? start : block_sums,
                                      .first_stride = part == 0 ? size_t{0} : size_t{kPanelOutputs},
                                      .sums = block_sums,
                                      .prefetch = next + static_cast<size_t>(lines_before) * 64,
                                      .prefetch_lines = prefetch_lines};
        const Finisher<kType, kActivation, kOutput> finisher(a, block_sums, row, column,
                                                             is_last ? rows : 0);
        MultiplyBlock<Block>(block_part, rows, finisher);
      }
    }
  }
}

template <TileType kType, typename Block>
static void TileProductOf(const TileProductArgs& a) noexcept {
  if constexpr (kHalf != TileType::kNone) {
    if (a.y_half != nullptr) {
      return TileProductOf<kType, Block, TileActivation::kNone, TileOutput::kHalves>(a);
    }
  }
  if constexpr (kType != TileType::kInt8) {
    if (a.adds) {
      return TileProductOf<kType, Block, TileActivation::kNone, TileOutput::kAddedFloats>(a);
    }
  }
  if (!a.activates) return TileProductOf<kType, Block, TileActivation::kNone>(a);
  switch (a.activation) {
    case KernelActivation::kGeluErf:
      return TileProductOf<kType, Block, TileActivation::kGeluErf>(a);
    case KernelActivation::kGeluTanh:
      return TileProductOf<kType, Block, TileActivation::kGeluTanh>(a);
    default:
      return TileProductOf<kType, Block, TileActivation::kRelu>(a);
  }
}

static void TileProduct(const TileProductArgs& a) noexcept {
#if defined(__AVX512FP16__)
  if (a.x.type == TileType::kF16) return TileProductOf<TileType::kF16, HalfBlock>(a);
#endif
  TileProductOf<TileType::kInt8, CodeBlock>(a);
}

}  // namespace tailor::TAILOR_ISA
