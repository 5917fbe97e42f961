// SPDX-License-Identifier: Apache-2.0
// The kernels of engine/cuda/kernels for a compiler that does not know CUDA C++: the names that
// they use, and then themselves. A ThreadBlock runs them; its threads are fibres that take turns,
// so that shared memory is a static variable.
#pragma once

#include <cmath>
#include <cstdint>

#include "engine/tensor/tensor_view.h"
#include "tests/testing/cuda_on_host/thread_block.h"

// NOLINTBEGIN(bugprone-reserved-identifier): the names are CUDA's.
#define __global__
#define __device__
#define __shared__ static

struct __half {
  uint16_t bits;
};
inline float __half2float(__half value) { return tailor::F16Value(value.bits); }
inline __half __float2half_rn(float value) { return {tailor::F16Bits(value)}; }

struct __nv_bfloat16 {
  uint16_t bits;
};
inline float __bfloat162float(__nv_bfloat16 value) { return tailor::Bf16Value(value.bits); }
inline __nv_bfloat16 __float2bfloat16_rn(float value) { return {tailor::Bf16Bits(value)}; }

#define threadIdx (::tailor::testing::ThreadBlock::Present().thread_index())
#define blockIdx (::tailor::testing::ThreadBlock::Present().block_index())

inline void __syncthreads() { tailor::testing::ThreadBlock::Present().SyncBlock(); }
inline void __syncwarp() { tailor::testing::ThreadBlock::Present().SyncWarp(); }
inline float __shfl_xor_sync(unsigned, float value, int distance) {
  return tailor::testing::ThreadBlock::Present().ExchangeInWarp(value, distance);
}
// NOLINTEND(bugprone-reserved-identifier)

#include "engine/cuda/kernels/all_kernels.cuh"  // uses the names above
