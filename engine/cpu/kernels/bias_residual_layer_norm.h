// SPDX-License-Identifier: Apache-2.0
// out = LayerNorm(x + bias + residual) * gamma + beta, row by row.
// Sums in f32, mean first and then the variance of what is left (two passes over a row in L1).
// Tiles only where the instruction set has them; they hold `out` as store_tiles.h says.
// Tolerance: docs/numerics.md, "layer norm".
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/cpu/kernels/tile_layout.h"

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
  float* out;      // [rows, hidden]; may be x or residual
  TileRows tiles;  // of columns = hidden; the rows also as a product reads them, or none
};

using BiasResidualLayerNormFn = void (*)(const BiasResidualLayerNormArgs& args) noexcept;

}  // namespace tailor
