// SPDX-License-Identifier: Apache-2.0
// How rows of activations and matrices of weights lie in memory for products on AMX tiles, and for
// those with VNNI or of f16, which read a row of a weight tile as one vector.
//
// A tile is 1 KiB: 16 rows of 64 bytes. Rows of activations stand in blocks of 16; a block holds
// its tiles one after the other, each the next 64 bytes of the 16 rows (kSplitBf16: the tile of the
// high parts, then that of the low parts). Weights stand in panels of 32 outputs; a panel holds for
// each tile of activations the two tiles of weights, 16 outputs each, that it is multiplied with.
// In a tile of weights, row r and column n hold the 4 bytes of output n at bytes 4 r .. 4 r + 3 of
// a row of activations; output n is the n-th of the tile's 16, but of kF16 the two tiles of a panel
// hold the even and the odd outputs. What lies behind the last column or output is 0.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tailor {

// What activations and weights are rounded to. kSplitBf16: to the sum of two bf16 numbers, the
// value rounded and what is left of it rounded; its products leave out low times low and are within
// 2^-16 of the product of f32 numbers.
enum class TileType : uint8_t { kNone, kBf16, kSplitBf16, kF16, kInt8 };

constexpr int kTileRows = 16;
constexpr int kTileRowBytes = 64;
constexpr size_t kTileBytes = size_t{kTileRows} * kTileRowBytes;
constexpr int kPanelOutputs = 32;

// The functions below are also compiled for one instruction set (simd.h): always inlined.
#define TAILOR_PLAIN [[gnu::always_inline]] constexpr

// Whether a row of attention can be stored as it.
TAILOR_PLAIN bool IsHalf(TileType type) {
  return type == TileType::kBf16 || type == TileType::kF16;
}
// Columns of one tile of activations, or of the pair of kSplitBf16.
TAILOR_PLAIN int TileColumns(TileType type) { return type == TileType::kInt8 ? 64 : 32; }
TAILOR_PLAIN int TileParts(TileType type) { return type == TileType::kSplitBf16 ? 2 : 1; }
TAILOR_PLAIN int TileSteps(TileType type, int columns) {
  return (columns + TileColumns(type) - 1) / TileColumns(type);
}
// Bytes of 16 rows of activations.
TAILOR_PLAIN size_t TileBlockBytes(TileType type, int columns) {
  return kTileBytes * TileParts(type) * TileSteps(type, columns);
}
// Bytes of 32 outputs of weights.
TAILOR_PLAIN size_t TilePanelBytes(TileType type, int columns) {
  return 2 * TileBlockBytes(type, columns);
}
TAILOR_PLAIN int PaddedOutputs(int out) {
  return (out + kPanelOutputs - 1) / kPanelOutputs * kPanelOutputs;
}

// Where rows of activations stand in a buffer of tiles. A producer writes the rows from first_row
// on; a product reads them when that is a multiple of 16.
struct TileRows {
  std::byte* data = nullptr;        // of row 0 of the buffer, 64-byte aligned
  TileType type = TileType::kNone;  // kNone: no tiles are wanted or there
  int columns = 0;
  int first_row = 0;
  float* scales = nullptr;  // of kInt8: one a row of the buffer
  float fixed_scale = 0;    // of kInt8, above 0: of every row; 0: each row has its own

  // The first 64 bytes of row r behind first_row; the others follow kTileBytes apart.
  [[gnu::always_inline]] std::byte* Row(int r) const {
    const int row = first_row + r;
    return data + static_cast<size_t>(row / kTileRows) * TileBlockBytes(type, columns) +
           static_cast<size_t>(row % kTileRows) * kTileRowBytes;
  }
};

#undef TAILOR_PLAIN

}  // namespace tailor
