// SPDX-License-Identifier: Apache-2.0
// Weights in the panels of kernels/tile_layout.h, made once at Load.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/aligned_buffer.h"
#include "engine/cpu/kernels/tile_layout.h"

namespace tailor {

// weight: [out, in] row-major; type: kBf16 or kSplitBf16, rounded to nearest, ties to even.
AlignedBuffer<std::byte> PackFloats(TileType type, std::span<const float> weight, int out, int in);

// codes: [out, in] row-major.
AlignedBuffer<std::byte> PackCodes(std::span<const int8_t> codes, int out, int in);

}  // namespace tailor
