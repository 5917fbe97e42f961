// SPDX-License-Identifier: Apache-2.0
// What the kernels' tests share: random inputs, and the numbers that their bounds are made of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

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

}  // namespace tailor
