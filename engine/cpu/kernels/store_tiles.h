// SPDX-License-Identifier: Apache-2.0
// Rows of f32 rounded into the tiles that a product reads. kBf16, kSplitBf16, kF16: nearest, ties
// to even; f16 is infinite above 65504. kInt8: codes and scales exactly as quantize_rows.h says,
// the codes with the offset of the kernel set (kernel_set.h). Tiles are written up to their last
// column, with 0 behind the last one of x.
#pragma once

#include <cstddef>

#include "engine/cpu/kernels/tile_layout.h"

namespace tailor {

struct StoreTilesArgs {
  const float* x;  // [rows, tiles.columns], rows x_stride apart
  size_t x_stride;
  int rows;
  TileRows tiles;
};

using StoreTilesFn = void (*)(const StoreTilesArgs& args) noexcept;

}  // namespace tailor
