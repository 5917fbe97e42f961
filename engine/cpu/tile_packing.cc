// SPDX-License-Identifier: Apache-2.0
#include "engine/cpu/tile_packing.h"

#include <cmath>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "engine/tensor/tensor_view.h"

namespace tailor {
namespace {

struct Bf16 {
  uint16_t bits;
  float value;
};

Bf16 RoundToBf16(float value) {
  TAILOR_CHECK(std::isfinite(value));
  const uint16_t bits = Bf16Bits(value);
  return {.bits = bits, .value = Bf16Value(bits)};
}

// Where the bytes of output o and input i begin in panels of `type`: of its first part.
size_t Position(TileType type, int in, int o, int i) {
  const int columns = TileColumns(type);
  const int bytes = kTileRowBytes / columns;                   // of one input
  const size_t at = static_cast<size_t>(i) % columns * bytes;  // in a row of activations
  const int in_panel = o % kPanelOutputs;
  const size_t tile = type == TileType::kF16 ? in_panel % 2 : in_panel / 16;
  const size_t column = type == TileType::kF16 ? in_panel / 2 : in_panel % 16;
  return static_cast<size_t>(o / kPanelOutputs) * TilePanelBytes(type, in) +
         static_cast<size_t>(i / columns) * 2 * TileParts(type) * kTileBytes + tile * kTileBytes +
         at / 4 * kTileRowBytes + column * 4 + at % 4;
}

size_t PackedBytes(TileType type, int out, int in) {
  return TilePanelBytes(type, in) * (PaddedOutputs(out) / kPanelOutputs);
}

}  // namespace

TilePanels PackFloats(TileType type, std::span<const float> weight, int out, int in) {
  AlignedBuffer<std::byte> packed(PackedBytes(type, out, in));
  for (int o = 0; o < out; ++o) {
    for (int i = 0; i < in; ++i) {
      const float value = weight[static_cast<size_t>(o) * in + i];
      const size_t position = Position(type, in, o, i);
      if (type == TileType::kF16) {
        const uint16_t bits = F16Bits(value);
        std::memcpy(packed.data() + position, &bits, sizeof(bits));
        continue;
      }
      const Bf16 high = RoundToBf16(value);
      std::memcpy(packed.data() + position, &high.bits, sizeof(high.bits));
      if (type != TileType::kSplitBf16) continue;
      const Bf16 low = RoundToBf16(value - high.value);
      std::memcpy(packed.data() + position + 2 * kTileBytes, &low.bits, sizeof(low.bits));
    }
  }
  return {.type = type, .out = out, .in = in, .data = std::move(packed)};
}

TilePanels PackCodes(std::span<const int8_t> codes, int out, int in) {
  AlignedBuffer<std::byte> packed(PackedBytes(TileType::kInt8, out, in));
  for (int o = 0; o < out; ++o) {
    for (int i = 0; i < in; ++i) {
      packed[Position(TileType::kInt8, in, o, i)] =
          static_cast<std::byte>(codes[static_cast<size_t>(o) * in + i]);
    }
  }
  return {.type = TileType::kInt8, .out = out, .in = in, .data = std::move(packed)};
}

std::vector<int32_t> FirstSums(const TilePanels& codes, int out, int in, int code_offset) {
  TAILOR_CHECK(codes.type == TileType::kInt8 && codes.out >= out && codes.in >= in);
  std::vector<int32_t> sums(PaddedOutputs(out));
  if (code_offset == 0) return sums;
  // Whole tiles: behind the last input, a wider matrix has weights, and activations the offset.
  const int columns = TileSteps(TileType::kInt8, in) * TileColumns(TileType::kInt8);
  for (int o = 0; o < static_cast<int>(sums.size()); ++o) {
    for (int i = 0; i < columns; ++i) {
      sums[o] -=
          code_offset * static_cast<int8_t>(codes.data[Position(TileType::kInt8, codes.in, o, i)]);
    }
  }
  return sums;
}

}  // namespace tailor
