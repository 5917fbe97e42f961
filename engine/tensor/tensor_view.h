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
  // Elements from one row of a matrix to the next; 0: rows follow each other. Read rows through
  // row() or the functions below, so that a prefix of columns needs no copy.
  int64_t row_stride = 0;

  bool empty() const { return data == nullptr; }
  int64_t dim(size_t axis) const { return shape[axis]; }
  size_t num_elements() const;
  // Elements of one row: the product of all dimensions but the first.
  size_t row_elements() const;
  const std::byte* row(size_t index) const;
};

// Of a matrix or vector: rows [0, rows), and of a matrix columns [0, columns). Views of the same
// memory.
TensorView FirstRows(const TensorView& view, int64_t rows);
TensorView FirstColumns(const TensorView& view, int64_t columns);

// The rows of the view with all columns that are stored: FirstColumns taken back.
TensorView WholeRows(const TensorView& view);

// Copies `view` into `out` as f32 (exact from f16, bf16 and i8; i8 gives the codes without their
// scale). out.size() == view.num_elements(). Not for kU8 and kI64.
void ConvertToF32(const TensorView& view, std::span<float> out);

// The same into a fresh vector; an empty view gives an empty vector.
std::vector<float> ToF32(const TensorView& view);

// The nearest f16, ties to even; infinity above its range.
float RoundToF16(float value);

// Its bits; of a NaN those of a quiet one.
uint16_t F16Bits(float value);

// The bits of the nearest bf16, ties to even; infinity above its range; of a NaN those of a quiet
// one.
uint16_t Bf16Bits(float value);

// What such bits stand for.
float F16Value(uint16_t bits);
float Bf16Value(uint16_t bits);

}  // namespace tailor
