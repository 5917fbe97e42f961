// SPDX-License-Identifier: Apache-2.0
// A read-only view of a stored tensor, row-major, little-endian; never owns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/tensor/dtype.h"

namespace tailor {

struct TensorView {
  const std::byte* data = nullptr;  // not necessarily aligned to the element size
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;

  bool empty() const { return data == nullptr; }
  int64_t dim(size_t axis) const { return shape[axis]; }
  size_t num_elements() const;
};

// Copies `view` into `out` as f32 (exact from f16 and bf16). out.size() == view.num_elements().
void ConvertToF32(const TensorView& view, std::span<float> out);

// The same into a fresh vector; an empty view gives an empty vector.
std::vector<float> ToF32(const TensorView& view);

}  // namespace tailor
