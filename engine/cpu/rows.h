// SPDX-License-Identifier: Apache-2.0
// A view of rows of activations: f32 or halves (kernels/kernel_set.h) and, where the next product
// reads tiles, the same in tiles.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/cpu/kernels/tile_layout.h"

namespace tailor {

// What a step reads: tiles of a type, or f32 (kNone). input_scale: of kInt8, above 0: every row's.
struct StepInput {
  TileType type = TileType::kNone;
  float input_scale = 0;

  friend bool operator==(const StepInput&, const StepInput&) = default;
};

struct Rows {
  float* f32 = nullptr;
  size_t width = 0;
  TileRows tiles = {};       // kNone: none
  uint16_t* half = nullptr;  // not null: the rows are halves, and f32 is not to be read or written

  Rows From(size_t row) const {
    Rows rows = *this;
    rows.f32 += row * width;
    if (half != nullptr) rows.half += row * width;
    rows.tiles.first_row += static_cast<int>(row);
    return rows;
  }
  // The same rows with tiles of this kind, where there is room for tiles.
  Rows For(const StepInput& input) const {
    Rows rows = *this;
    rows.tiles.type = tiles.data == nullptr ? TileType::kNone : input.type;
    rows.tiles.fixed_scale = input.input_scale;
    return rows;
  }
  // The same rows without their first columns, and without tiles.
  Rows Columns(size_t first) const {
    return {.f32 = f32 + first,
            .width = width,
            .tiles = {},
            .half = half == nullptr ? nullptr : half + first};
  }

  bool HasTiles() const { return tiles.type != TileType::kNone; }
  // Whether a step with this input can read the tiles.
  bool HasTilesFor(const StepInput& input) const {
    return HasTiles() && tiles.first_row % kTileRows == 0 &&
           StepInput{tiles.type, tiles.fixed_scale} == input;
  }
};

void CopyRow(const Rows& from, const Rows& to);  // the f32

}  // namespace tailor
