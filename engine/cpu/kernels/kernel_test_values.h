// SPDX-License-Identifier: Apache-2.0
// What the kernels' tests share: random inputs, and the numbers that their bounds are made of.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "engine/cpu/kernels/bias_activation.h"

namespace tailor {

inline constexpr double kEpsilon = 0x1p-24;  // half an ulp of f32 at 1
inline constexpr float kGuard = 12345.0F;    // behind every output: kernels must not write there

// Values in [-scale, scale]; the same seed gives the same ones.
inline std::vector<float> Random(size_t size, uint32_t seed, float scale = 1) {
  std::mt19937 random(seed);
  std::vector<float> values(size);
  for (float& v : values) v = scale * (static_cast<float>(random()) * 0x1p-31F - 1.0F);
  return values;
}

// In double.
inline double Activated(KernelActivation activation, double x) {
  switch (activation) {
    case KernelActivation::kGeluErf:
      return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    case KernelActivation::kGeluTanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case KernelActivation::kRelu:
      return std::max(x, 0.0);
    case KernelActivation::kTanh:
      return std::tanh(x);
    case KernelActivation::kTanhRelu:
      return std::max(std::tanh(x), 0.0);
  }
  return x;
}

}  // namespace tailor
