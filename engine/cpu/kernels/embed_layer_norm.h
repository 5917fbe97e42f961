// SPDX-License-Identifier: Apache-2.0
// out[r] = LayerNorm(word[id[r]] + position[p[r]] + type[t[r]]) * gamma + beta, row by row.
// Sums in f32, mean first and then the variance of what is left (two passes over a row in L1).
// Tiles only where the instruction set has them; they hold `out` as store_tiles.h says.
// Tolerance: docs/numerics.md, "layer norm".
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/cpu/kernels/tile_layout.h"

namespace tailor {

struct EmbedLayerNormArgs {
  const int32_t* token_ids;     // [rows]
  const int32_t* type_ids;      // [rows], not read when type_table is null
  int first_position;           // row r has position first_position + r
  const float* word_table;      // [vocab_size, hidden]
  const float* position_table;  // [max_positions, hidden]
  const float* type_table;      // [num_token_types, hidden] or null
  const float* gamma;           // [hidden]
  const float* beta;            // [hidden]
  float eps;
  int rows;
  int hidden;
  float* out;      // [rows, hidden]
  TileRows tiles;  // of columns = hidden; the rows also as a product reads them, or none
};

using EmbedLayerNormFn = void (*)(const EmbedLayerNormArgs& args) noexcept;

}  // namespace tailor
