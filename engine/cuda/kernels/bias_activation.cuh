// SPDX-License-Identifier: Apache-2.0
// BiasActivation: a block for each row and 1,024 columns, four numbers a thread.
#pragma once

#include "engine/cuda/kernels/bias_activation.h"
#include "engine/cuda/kernels/element.cuh"

namespace tailor::cuda {

constexpr int kActivationThreads = 256;
constexpr int kActivationColumns = 4 * kActivationThreads;

inline LaunchShape ShapeOf(const BiasActivation& call) {
  return {.blocks = {call.rows, CeilDivide(call.columns, kActivationColumns), 1},
          .threads = kActivationThreads};
}

__device__ inline float Activate(Activation activation, float x) {
  constexpr float kSqrtHalf = 0.70710678118654752F;
  constexpr float kSqrtTwoByPi = 0.79788456080286536F;
  switch (activation) {
    case Activation::kNone:
      return x;
    case Activation::kGeluErf:
      return 0.5F * x * (1.0F + erff(x * kSqrtHalf));
    case Activation::kGeluTanh:
      return 0.5F * x * (1.0F + tanhf(kSqrtTwoByPi * (x + 0.044715F * x * x * x)));
    case Activation::kRelu:
      return fmaxf(x, 0.0F);
    case Activation::kTanh:
      return tanhf(x);
    case Activation::kTanhRelu:
      return fmaxf(tanhf(x), 0.0F);
  }
  return x;
}

template <typename T>
__global__ void BiasActivationKernel(BiasActivation call) {
  T* row = static_cast<T*>(call.values) +
           static_cast<size_t>(blockIdx.x) * static_cast<size_t>(call.columns);
  const int begin = static_cast<int>(blockIdx.y) * kActivationColumns;
  const int end =
      begin + kActivationColumns < call.columns ? begin + kActivationColumns : call.columns;
  for (int i = begin + static_cast<int>(threadIdx.x); i < end; i += kActivationThreads) {
    row[i] = FromFloat<T>(Activate(call.activation, ToFloat(row[i]) + call.bias[i]));
  }
}

template <typename T>
auto KernelFor(const BiasActivation&) {
  return &BiasActivationKernel<T>;
}

}  // namespace tailor::cuda
