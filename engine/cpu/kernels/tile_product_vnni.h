// SPDX-License-Identifier: Apache-2.0
// Products of codes with vpdpbusd, which multiplies unsigned bytes by signed ones and adds four
// products to a sum of 32 bits without saturating. Blocks of 8 rows and 32 outputs: 16 vectors of
// sums, which is enough to hide the instruction's latency; every four columns load two vectors of
// weights and four bytes of each row.
#pragma once

#include "engine/cpu/kernels/simd.h"
#include "engine/cpu/kernels/tile_finisher_simd.h"
#include "engine/cpu/kernels/tile_product.h"

namespace tailor::TAILOR_ISA {

constexpr int kBlockRows = 8;

// A block's share of some columns of the activations.
struct BlockPart {
  const std::byte* x;  // the block's first row
  const std::byte* w;
  int steps;
  const int32_t* first;  // what the sums start from, rows first_stride apart
  size_t first_stride;
  int32_t* sums;              // [kRows, kPanelOutputs], where they go unless they are complete
  const std::byte* prefetch;  // weights that will be read
  int prefetch_lines;         // each step
};

template <int kRows, typename Finisher>
static void MultiplyBlock(const BlockPart& part, Finisher finisher) {
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
        int32_t codes = 0;
        __builtin_memcpy(&codes, x + r * kTileRowBytes + i, sizeof(codes));
        const __m512i row = _mm512_set1_epi32(codes);
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

// Of `rows` rows or one more: there is room for 16 in each block of tiles.
template <typename Finisher>
TAILOR_INLINE void MultiplyBlock(const BlockPart& part, int rows, const Finisher& finisher) {
  if (rows > 6) return MultiplyBlock<8>(part, finisher);
  if (rows > 4) return MultiplyBlock<6>(part, finisher);
  if (rows > 2) return MultiplyBlock<4>(part, finisher);
  return rows == 2 ? MultiplyBlock<2>(part, finisher) : MultiplyBlock<1>(part, finisher);
}

// Steps that are done for all rows before the next ones: their weights, and the activations of a
// block, stay in the first-level cache.
constexpr int kPartSteps = 16;

template <TileActivation kActivation>
static void TileProductOf(const TileProductArgs& a) noexcept {
  alignas(64) int32_t sums[kMaxTileProductRows * kPanelOutputs];
  const int steps = TileSteps(TileType::kInt8, a.x.columns);
  const int parts = (steps + kPartSteps - 1) / kPartSteps;
  const int blocks = (a.rows + kBlockRows - 1) / kBlockRows;
  const int prefetch_lines = (static_cast<int>(2 * kTileBytes / 64) + blocks - 1) / blocks;
  for (int column = 0; column < a.out; column += kPanelOutputs) {
    const std::byte* panel = a.weight + static_cast<size_t>(column / kPanelOutputs) * a.panel_bytes;
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
        const BlockPart block_part = {.x = a.x.Row(row) + kTileBytes * first,
                                      .w = panel + 2 * kTileBytes * first,
                                      .steps = end - first,
                                      .first = part == 0 ? a.first_sums + column : block_sums,
                                      .first_stride = part == 0 ? size_t{0} : size_t{kPanelOutputs},
                                      .sums = block_sums,
                                      .prefetch = next + static_cast<size_t>(lines_before) * 64,
                                      .prefetch_lines = prefetch_lines};
        const Finisher<TileType::kInt8, kActivation, TileOutput::kFloats> finisher(
            a, block_sums, row, column, is_last ? rows : 0);
        MultiplyBlock(block_part, rows, finisher);
      }
    }
  }
}

static void TileProduct(const TileProductArgs& a) noexcept {
  if (!a.activates) return TileProductOf<TileActivation::kNone>(a);
  switch (a.activation) {
    case KernelActivation::kGeluErf:
      return TileProductOf<TileActivation::kGeluErf>(a);
    case KernelActivation::kGeluTanh:
      return TileProductOf<TileActivation::kGeluTanh>(a);
    default:
      return TileProductOf<TileActivation::kRelu>(a);
  }
}

}  // namespace tailor::TAILOR_ISA
