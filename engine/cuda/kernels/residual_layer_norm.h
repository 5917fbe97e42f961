// SPDX-License-Identifier: Apache-2.0
// What follows the last product of a block: bias, residual and LayerNorm in one pass.
#pragma once

#include "engine/cuda/kernels/element.h"

namespace tailor::cuda {

// residual[r] = LayerNorm(product[r] + bias + residual[r]), and hidden the same for the products to
// read. The residual stays f32 in every format: with one that was rounded to f16 the outputs of the
// parity tests' models were 2.2e-3 from the reference's, with this one 1.5e-3 (both with products
// summed in double). All pointers are device memory that does not overlap.
struct ResidualLayerNorm {
  Element element = Element::kF32;  // of product and hidden
  int rows = 0;
  int columns = 0;
  const void* product =
      nullptr;                  // [rows, columns]; null: zeros, of a block without heads or neurons
  const float* bias = nullptr;  // [columns]
  const float* gamma = nullptr;  // [columns]
  const float* beta = nullptr;   // [columns]
  float epsilon = 0;
  float* residual = nullptr;  // [rows, columns]
  void* hidden = nullptr;     // [rows, columns]
};

}  // namespace tailor::cuda
