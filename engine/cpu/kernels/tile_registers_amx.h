// SPDX-License-Identifier: Apache-2.0
// The eight tile registers, all of 16 rows and 64 bytes.
#pragma once

#include "engine/cpu/kernels/simd.h"
#include "engine/cpu/kernels/tile_layout.h"

namespace tailor::TAILOR_ISA {

struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};

// Until ReleaseTiles.
TAILOR_INLINE void ConfigureTiles() {
  TileConfig config;
  for (int i = 0; i < 8; ++i) {
    config.row_bytes[i] = kTileRowBytes;
    config.rows[i] = kTileRows;
  }
  _tile_loadconfig(&config);
}
TAILOR_INLINE void ReleaseTiles() { _tile_release(); }

}  // namespace tailor::TAILOR_ISA
