// SPDX-License-Identifier: Apache-2.0
// Weights in the panels of kernels/tile_layout.h, made once at Load.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/aligned_buffer.h"
#include "engine/cpu/kernels/tile_layout.h"

namespace tailor {

// A matrix in panels. What has fewer outputs or inputs of it reads the first panels, or the first
// tiles of each: activations are 0 behind their last column.
struct TilePanels {
  TileType type = TileType::kNone;
  int out = 0;
  int in = 0;
  AlignedBuffer<std::byte> data;

  size_t panel_bytes() const { return TilePanelBytes(type, in); }
};

// weight: [out, in] row-major; type: kBf16, kSplitBf16 or kF16, rounded to nearest, ties to even.
TilePanels PackFloats(TileType type, std::span<const float> weight, int out, int in);

// codes: [out, in] row-major.
TilePanels PackCodes(std::span<const int8_t> codes, int out, int in);

// What the sums of `in` inputs start from, [PaddedOutputs(out)], when the codes of activations are
// `code_offset` larger in their tiles (kernels/tile_product.h).
std::vector<int32_t> FirstSums(const TilePanels& codes, int out, int in, int code_offset);

}  // namespace tailor
