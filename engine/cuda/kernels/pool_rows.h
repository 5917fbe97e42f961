// SPDX-License-Identifier: Apache-2.0
// One row of each sequence.
#pragma once

#include <cstdint>

#include "engine/cuda/kernels/element.h"

namespace tailor::cuda {

// residual[i] = the first row of sequence i, or the mean of its rows, and hidden the same for
// products to read. Device memory.
struct PoolRows {
  Element element = Element::kF32;  // of hidden
  bool is_mean = false;
  int num_sequences = 0;
  int columns = 0;
  const int32_t* offsets = nullptr;  // [num_sequences + 1] first rows
  const float* rows = nullptr;       // [tokens, columns]
  float* residual = nullptr;         // [num_sequences, columns]
  void* hidden = nullptr;            // [num_sequences, columns]
};

}  // namespace tailor::cuda
