// SPDX-License-Identifier: Apache-2.0
// out = LayerNorm(x + bias + residual) * gamma + beta, row by row.
// Sums in f32, mean first and then the variance of what is left (two passes over a row in L1).
// Tolerance: docs/numerics.md, "layer norm".
#pragma once

#include <cstddef>
#include <cstdint>

namespace tailor {

struct BiasResidualLayerNormArgs {
  const float* x;         // [rows, hidden]
  const float* bias;      // [hidden]
  const float* residual;  // [rows, hidden]
  const float* gamma;     // [hidden]
  const float* beta;      // [hidden]
  float eps;
  int rows;
  int hidden;
  float* out;          // [rows, hidden]; may be x or residual
  uint16_t* out_bf16;  // [rows, hidden] rounded copy, or null; only where the ISA has bf16
};

using BiasResidualLayerNormFn = void (*)(const BiasResidualLayerNormArgs& args) noexcept;

}  // namespace tailor
