// SPDX-License-Identifier: Apache-2.0
// Tiles of activations whose values tests can read.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/aligned_buffer.h"
#include "engine/cpu/kernels/kernel_set.h"

namespace tailor {

inline float RoundToBf16(float value) {
  auto bits = std::bit_cast<uint32_t>(value);
  bits = (bits + 0x7FFFU + (bits >> 16 & 1U)) & 0xFFFF0000U;
  return std::bit_cast<float>(bits);
}

inline float FromBf16(const std::byte* at) {
  uint16_t bits = 0;
  std::memcpy(&bits, at, sizeof(bits));
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

inline float RoundToF16(float value) { return static_cast<float>(static_cast<_Float16>(value)); }

inline float FromF16(const std::byte* at) {
  _Float16 value = 0;
  std::memcpy(&value, at, sizeof(value));
  return static_cast<float>(value);
}

// Tiles for some rows of one kind, and the values that they hold.
class Tiles {
 public:
  Tiles(const KernelSet& kernels, TileType type, int rows, int columns, int first_row = 0,
        float fixed_scale = 0)
      : kernels_(kernels),
        memory_(TileBlockBytes(type, columns) * ((first_row + rows + kTileRows - 1) / kTileRows)),
        scales_(first_row + rows),
        tiles_{.data = memory_.data(),
               .type = type,
               .columns = columns,
               .first_row = first_row,
               .scales = scales_.data(),
               .fixed_scale = fixed_scale} {}

  const TileRows& tiles() const { return tiles_; }
  float scale(int r) const { return scales_[tiles_.first_row + r]; }
  // Bytes of column c, of the high part or of what lies in the tile behind it.
  const std::byte* At(int r, int c, int part = 0) const {
    const int columns = TileColumns(tiles_.type);
    return tiles_.Row(r) + (c / columns * TileParts(tiles_.type) + part) * kTileBytes +
           c % columns * (kTileRowBytes / columns);
  }
  int Code(int r, int c) const {
    return static_cast<int8_t>(static_cast<int>(*At(r, c)) - kernels_.code_offset);
  }
  void Store(const std::vector<float>& x, int rows) const {
    kernels_.store_tiles({.x = x.data(),
                          .x_stride = static_cast<size_t>(tiles_.columns),
                          .rows = rows,
                          .tiles = tiles_});
  }
  // The value that a product reads.
  double Value(int r, int c) const {
    switch (tiles_.type) {
      case TileType::kInt8:
        return Code(r, c);
      case TileType::kSplitBf16:
        return static_cast<double>(FromBf16(At(r, c))) + FromBf16(At(r, c, 1));
      case TileType::kF16:
        return FromF16(At(r, c));
      default:
        return FromBf16(At(r, c));
    }
  }

 private:
  const KernelSet& kernels_;
  AlignedBuffer<std::byte> memory_;
  AlignedBuffer<float> scales_;
  TileRows tiles_;
};

}  // namespace tailor
