// SPDX-License-Identifier: Apache-2.0
// codes = clamp(round(x / scale), -127, 127), ties to even, and the scale of each row: the given
// one, or max|row| / 127 in f32, or 1 where that is 0. Exact: every ISA gives the same codes. A row
// with a NaN gets NaN as its scale, so that the NaN reaches the output.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tailor {

// Rows of codes are this many bytes apart, or a multiple of it.
constexpr int kCodePadding = 64;

struct QuantizeRowsArgs {
  const float* x;  // [rows, columns], rows x_stride apart
  size_t x_stride;
  int rows;
  int columns;
  float fixed_scale;    // above 0: of every row; 0: each row has its own
  int8_t* codes;        // [rows, codes_stride]; 0 behind `columns`
  size_t codes_stride;  // columns rounded up to kCodePadding
  float* scales;        // [rows]
};

using QuantizeRowsFn = void (*)(const QuantizeRowsArgs& args) noexcept;

}  // namespace tailor
