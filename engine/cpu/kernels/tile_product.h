// SPDX-License-Identifier: Apache-2.0
// y = activation(x * weight^T + bias), on AMX tiles or by vectors, for activations and weights laid
// out as tile_layout.h says. An output is the same whatever other rows the call has.
//   kInt8: int32 sums, exact; float(sum) * (row_scale * column_scale) + bias, in f32
//   kF16: sums in f16 of 64 products each at most, these in f32
//   kBf16, kSplitBf16: sums in f32, in the order of the columns; subnormal numbers count as 0
// Tolerance: docs/numerics.md, "tile products".
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/cpu/kernels/bias_activation.h"
#include "engine/cpu/kernels/tile_layout.h"

namespace tailor {

constexpr int kMaxTileProductRows = 256;

struct TileProductArgs {
  TileRows x;               // [rows, in]; first_row is a multiple of 16
  const std::byte* weight;  // panels of x.type: [out, at least in]
  size_t panel_bytes;       // from one panel to the next: those of a wider matrix have more than in
  // Which columns of x and of the weights, the first a multiple of TileColumns; 0 columns: all.
  int first_column;
  int columns;
  bool adds;  // to y instead of the bias; not of kInt8, and nothing activates
  int rows;   // at most kMaxTileProductRows
  int out;
  // [PaddedOutputs(out)], kInt8 only: what the sums start from where codes have an offset: minus
  // the offset times the sum of an output's weights over all columns of the tiles.
  const int32_t* first_sums;
  const float* column_scale;  // [PaddedOutputs(out)], kInt8 only
  const float* bias;          // [PaddedOutputs(out)]
  bool activates;
  KernelActivation activation;  // a gelu or relu; not read otherwise
  float* y;                     // [rows, out], rows y_stride apart; null with the following
  size_t y_stride;
  uint16_t* y_half;  // the same in halves (kernel_set.h), when nothing activates: instead of y
  TileRows y_tiles;  // of floats that activate: their type, written instead of y
};

using TileProductFn = void (*)(const TileProductArgs& args) noexcept;

}  // namespace tailor
