// SPDX-License-Identifier: Apache-2.0
// A view of rows of activations, in f32, in bf16 or in both.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tailor {

struct Rows {
  float* f32 = nullptr;      // null: bf16 only
  uint16_t* bf16 = nullptr;  // null: f32 only
  size_t width = 0;

  Rows From(size_t row) const {
    return {f32 == nullptr ? nullptr : f32 + row * width,
            bf16 == nullptr ? nullptr : bf16 + row * width, width};
  }
  // The same rows without their first columns; f32 only.
  Rows Columns(size_t first) const { return {f32 + first, nullptr, width}; }
};

void CopyRow(const Rows& from, const Rows& to);

}  // namespace tailor
