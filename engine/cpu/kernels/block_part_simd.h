// SPDX-License-Identifier: Apache-2.0
// What a block of rows of a product by vectors is made of: at most kBlockRows rows of activations
// and the 32 outputs of a panel.
#pragma once

#include "engine/cpu/kernels/simd.h"
#include "engine/cpu/kernels/tile_layout.h"

namespace tailor::TAILOR_ISA {

constexpr int kBlockRows = 8;

// A block's share of some columns of the activations. Sums are int32 of codes, else the bits of
// f32.
struct BlockPart {
  const std::byte* x;  // the block's first row
  const std::byte* w;
  int steps;
  const int32_t* first;  // what the sums start from, rows first_stride apart
  size_t first_stride;
  int32_t* sums;              // [rows, kPanelOutputs], where they go unless they are complete
  const std::byte* prefetch;  // weights that will be read
  int prefetch_lines;         // each step
};

// Four bytes of a row, in every lane.
TAILOR_INLINE __m512i SplatBytes(const std::byte* at) {
  int32_t bytes = 0;
  __builtin_memcpy(&bytes, at, sizeof(bytes));
  return _mm512_set1_epi32(bytes);
}

}  // namespace tailor::TAILOR_ISA
