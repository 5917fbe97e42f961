// SPDX-License-Identifier: Apache-2.0
// PoolRows: a block for each sequence and 128 columns.
#pragma once

#include "engine/cuda/kernels/element.cuh"
#include "engine/cuda/kernels/pool_rows.h"

namespace tailor::cuda {

constexpr int kPoolColumns = 128;

inline LaunchShape ShapeOf(const PoolRows& call) {
  return {.blocks = {call.num_sequences, CeilDivide(call.columns, kPoolColumns), 1},
          .threads = kPoolColumns};
}

template <typename T>
__global__ void PoolRowsKernel(PoolRows call) {
  const int column = static_cast<int>(blockIdx.y) * kPoolColumns + static_cast<int>(threadIdx.x);
  if (column >= call.columns) return;
  const int sequence = static_cast<int>(blockIdx.x);
  const size_t columns = static_cast<size_t>(call.columns);
  const int begin = call.offsets[sequence];
  const int end = call.is_mean ? call.offsets[sequence + 1] : begin + 1;
  float sum = 0;
  for (int row = begin; row < end; ++row) {
    sum += call.rows[static_cast<size_t>(row) * columns + static_cast<size_t>(column)];
  }
  const float value = sum / static_cast<float>(end - begin);
  const size_t to = static_cast<size_t>(sequence) * columns + static_cast<size_t>(column);
  call.residual[to] = value;
  static_cast<T*>(call.hidden)[to] = FromFloat<T>(value);
}

template <typename T>
auto KernelFor(const PoolRows&) {
  return &PoolRowsKernel<T>;
}

}  // namespace tailor::cuda
