// SPDX-License-Identifier: Apache-2.0
// Stored values to f32 and back, and sums over a warp. For device code; who compiles it for the
// host (tests/testing/cuda_on_host) has declared CUDA's names before.
#pragma once

#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#endif

#include "engine/cuda/kernels/element.h"

namespace tailor::cuda {

__device__ inline float ToFloat(float value) { return value; }
__device__ inline float ToFloat(__half value) { return __half2float(value); }
__device__ inline float ToFloat(__nv_bfloat16 value) { return __bfloat162float(value); }

// To nearest, ties to even.
template <typename T>
__device__ T FromFloat(float value);
template <>
__device__ inline float FromFloat<float>(float value) {
  return value;
}
template <>
__device__ inline __half FromFloat<__half>(float value) {
  return __float2half_rn(value);
}
template <>
__device__ inline __nv_bfloat16 FromFloat<__nv_bfloat16>(float value) {
  return __float2bfloat16_rn(value);
}

constexpr unsigned kAllLanes = 0xFFFFFFFFU;

// The sum, or the largest, of every lane's value, in every lane. All lanes of the warp take part.
__device__ inline float WarpSum(float value) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(kAllLanes, value, distance);
  }
  return value;
}
__device__ inline float WarpMax(float value) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, distance));
  }
  return value;
}

// Calls run with a value of the type that `element` is stored as.
template <typename Run>
void WithType(Element element, const Run& run) {
  switch (element) {
    case Element::kF32:
      return run(float{});
    case Element::kF16:
      return run(__half{});
    case Element::kBf16:
      return run(__nv_bfloat16{});
  }
}

}  // namespace tailor::cuda
