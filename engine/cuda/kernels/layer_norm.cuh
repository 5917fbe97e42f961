// SPDX-License-Identifier: Apache-2.0
// EmbedLayerNorm and ResidualLayerNorm: a warp for each row.
#pragma once

#include "engine/cuda/kernels/element.cuh"
#include "engine/cuda/kernels/embed_layer_norm.h"
#include "engine/cuda/kernels/residual_layer_norm.h"

namespace tailor::cuda {

constexpr int kNormRows = 4;  // rows, and warps, of a block

// out = LayerNorm of the row whose number at a column input(column) gives. The numbers are asked
// for three times, for the mean, the variance around it and the result, which is exact where a
// single pass over squares cancels; the first-level cache has them from the second time on.
// residual may be where input reads: a lane writes only columns that it alone reads.
template <typename T, typename Input>
__device__ void NormalizeRow(int columns, const float* gamma, const float* beta, float epsilon,
                             const Input& input, float* residual, T* hidden) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  float sum = 0;
  for (int i = lane; i < columns; i += kWarp) sum += input(i);
  const float mean = WarpSum(sum) / static_cast<float>(columns);
  float squares = 0;
  for (int i = lane; i < columns; i += kWarp) {
    const float distance = input(i) - mean;
    squares += distance * distance;
  }
  const float variance = WarpSum(squares) / static_cast<float>(columns);
  const float scale = 1.0F / sqrtf(variance + epsilon);
  for (int i = lane; i < columns; i += kWarp) {
    const float value = (input(i) - mean) * scale * gamma[i] + beta[i];
    residual[i] = value;
    hidden[i] = FromFloat<T>(value);
  }
}

inline LaunchShape ShapeOfRows(int rows) {
  return {.blocks = {CeilDivide(rows, kNormRows), 1, 1}, .threads = kNormRows * kWarp};
}
inline LaunchShape ShapeOf(const EmbedLayerNorm& call) { return ShapeOfRows(call.rows); }
inline LaunchShape ShapeOf(const ResidualLayerNorm& call) { return ShapeOfRows(call.rows); }

// The row of this warp, or -1 behind the last one.
__device__ inline int RowOfWarp(int rows) {
  const int row = static_cast<int>(blockIdx.x) * kNormRows + static_cast<int>(threadIdx.x) / kWarp;
  return row < rows ? row : -1;
}

template <typename T>
__global__ void EmbedLayerNormKernel(EmbedLayerNorm call) {
  const int row = RowOfWarp(call.rows);
  if (row < 0) return;
  const size_t columns = static_cast<size_t>(call.columns);
  const float* word = call.words + static_cast<size_t>(call.ids[row]) * columns;
  const float* place = call.places + static_cast<size_t>(call.positions[row]) * columns;
  const float* kind = nullptr;
  if (call.kinds != nullptr) kind = call.kinds + static_cast<size_t>(call.types[row]) * columns;
  const auto sum = [=](int i) {
    const float value = word[i] + place[i];
    return kind == nullptr ? value : value + kind[i];
  };
  const size_t first = static_cast<size_t>(row) * columns;
  NormalizeRow(call.columns, call.gamma, call.beta, call.epsilon, sum, call.residual + first,
               static_cast<T*>(call.hidden) + first);
}

template <typename T>
__global__ void ResidualLayerNormKernel(ResidualLayerNorm call) {
  const int row = RowOfWarp(call.rows);
  if (row < 0) return;
  const size_t first = static_cast<size_t>(row) * static_cast<size_t>(call.columns);
  float* residual = call.residual + first;
  const T* product = nullptr;
  if (call.product != nullptr) product = static_cast<const T*>(call.product) + first;
  const float* bias = call.bias;
  const auto sum = [=](int i) {
    const float value = bias[i] + residual[i];
    return product == nullptr ? value : value + ToFloat(product[i]);
  };
  NormalizeRow(call.columns, call.gamma, call.beta, call.epsilon, sum, residual,
               static_cast<T*>(call.hidden) + first);
}

template <typename T>
auto KernelFor(const EmbedLayerNorm&) {
  return &EmbedLayerNormKernel<T>;
}
template <typename T>
auto KernelFor(const ResidualLayerNorm&) {
  return &ResidualLayerNormKernel<T>;
}

}  // namespace tailor::cuda
