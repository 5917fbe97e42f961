// SPDX-License-Identifier: Apache-2.0
// Attention: a block for each sequence, head and kQueries query rows, a warp for each row. The
// warps share tiles of kWarp keys and values in shared memory: a lane has one key of the tile for
// the scores, and every 32nd column of the head for the context, in registers.
#pragma once

#include "engine/cuda/kernels/attention.h"
#include "engine/cuda/kernels/element.cuh"

namespace tailor::cuda {

constexpr int kQueries = 8;
constexpr int kLaneColumns = kMaxHeadDim / kWarp;
constexpr int kKeyStride = kMaxHeadDim + 1;  // odd: 32 lanes at one column hit 32 banks

inline LaunchShape ShapeOf(const Attention& call) {
  const int queries = call.first_rows_only ? 1 : call.max_tokens;
  return {.blocks = {call.num_sequences, call.num_heads, CeilDivide(queries, kQueries)},
          .threads = kQueries * kWarp};
}

// `count` rows of this head with their bias, as f32, into rows of `stride` numbers; zeros up to
// `all` rows. By all threads of the block, a warp a row.
template <typename T>
__device__ void LoadRows(const T* rows, int row_stride, const float* bias, int head_dim, int count,
                         int all, float* to, int stride) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  for (int row = static_cast<int>(threadIdx.x) / kWarp; row < all; row += kQueries) {
    const T* from = rows + static_cast<size_t>(row) * static_cast<size_t>(row_stride);
    for (int column = lane; column < head_dim; column += kWarp) {
      to[row * stride + column] = row < count ? ToFloat(from[column]) + bias[column] : 0.0F;
    }
  }
}

template <typename T>
__global__ void AttentionKernel(Attention call) {
  __shared__ float queries[kQueries * kMaxHeadDim];
  __shared__ float keys[kWarp * kKeyStride];
  __shared__ float values[kWarp * kMaxHeadDim];
  __shared__ float weights[kQueries * kWarp];  // of a warp's present query and tile

  const int sequence = static_cast<int>(blockIdx.x);
  const int begin = call.offsets[sequence];
  const int tokens = call.offsets[sequence + 1] - begin;
  const int first_query = static_cast<int>(blockIdx.z) * kQueries;
  const int rows = call.first_rows_only ? 1 : tokens;
  if (first_query >= rows) return;
  const int count = rows - first_query < kQueries ? rows - first_query : kQueries;

  const int head_dim = call.head_dim;
  const int head = static_cast<int>(blockIdx.y) * head_dim;  // its first column
  const int row = (call.first_rows_only ? sequence : begin) + first_query;
  const T* key_rows = static_cast<const T*>(call.keys) + head +
                      static_cast<size_t>(begin) * static_cast<size_t>(call.key_stride);
  const T* value_rows = static_cast<const T*>(call.values) + head +
                        static_cast<size_t>(begin) * static_cast<size_t>(call.key_stride);
  LoadRows(static_cast<const T*>(call.queries) + head +
               static_cast<size_t>(row) * static_cast<size_t>(call.query_stride),
           call.query_stride, call.query_bias + head, head_dim, count, kQueries, queries,
           kMaxHeadDim);

  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const float* query = queries + warp * kMaxHeadDim;
  float* weight = weights + warp * kWarp;
  float largest = -INFINITY;
  float total = 0;
  float context[kLaneColumns] = {};
  for (int tile = 0; tile < tokens; tile += kWarp) {
    const int present = tokens - tile < kWarp ? tokens - tile : kWarp;
    const size_t skip = static_cast<size_t>(tile) * static_cast<size_t>(call.key_stride);
    __syncthreads();  // every warp is done with the tile before, and the queries are there
    LoadRows(key_rows + skip, call.key_stride, call.key_bias + head, head_dim, present, kWarp, keys,
             kKeyStride);
    LoadRows(value_rows + skip, call.key_stride, call.value_bias + head, head_dim, present, kWarp,
             values, kMaxHeadDim);
    __syncthreads();
    float score = 0;
    for (int i = 0; i < head_dim; ++i) score += query[i] * keys[lane * kKeyStride + i];
    score = lane < present ? score * call.scale : -INFINITY;
    const float before = largest;
    largest = fmaxf(before, WarpMax(score));
    const float shrink = expf(before - largest);  // 0 for the first tile
    const float mine = expf(score - largest);
    total = total * shrink + WarpSum(mine);
    weight[lane] = mine;
    __syncwarp();  // every lane's weight is there
    for (int c = 0; c < kLaneColumns; ++c) {
      const int column = lane + c * kWarp;
      if (column >= head_dim) continue;
      float sum = context[c] * shrink;
      for (int k = 0; k < kWarp; ++k) sum += weight[k] * values[k * kMaxHeadDim + column];
      context[c] = sum;
    }
  }

  if (warp >= count) return;
  const size_t width = static_cast<size_t>(call.num_heads) * static_cast<size_t>(head_dim);
  T* out = static_cast<T*>(call.context) + head + static_cast<size_t>(row + warp) * width;
  for (int c = 0; c < kLaneColumns; ++c) {
    const int column = lane + c * kWarp;
    if (column < head_dim) out[column] = FromFloat<T>(context[c] / total);
  }
}

template <typename T>
auto KernelFor(const Attention&) {
  return &AttentionKernel<T>;
}

}  // namespace tailor::cuda
