// SPDX-License-Identifier: Apache-2.0
// out = float(sums) * (row_scale * column_scale) + bias, in f32.
// Tolerance: docs/numerics.md, "int8".
#pragma once

#include <cstddef>
#include <cstdint>

namespace tailor {

// Rows of sums are a multiple of this many elements apart.
constexpr int kSumPadding = 16;

struct ScaleSumsArgs {
  const int32_t* sums;        // [rows, sums_stride]
  size_t sums_stride;         // columns rounded up to kSumPadding
  const float* row_scale;     // [rows]
  const float* column_scale;  // [columns]
  const float* bias;          // [columns], or null
  int rows;
  int columns;
  float* out;  // [rows, columns], rows out_stride apart
  size_t out_stride;
};

using ScaleSumsFn = void (*)(const ScaleSumsArgs& args) noexcept;

}  // namespace tailor
