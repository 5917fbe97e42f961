// SPDX-License-Identifier: Apache-2.0
// What kernels of AVX512-FP16 must give, number by number, for tests.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

namespace tailor {

// Columns whose products are summed in f16 before they are added to an f32.
inline constexpr size_t kF16ChunkColumns = 128;

struct F16Sum {
  float sum = 0;
  double squares = 0;  // of all sums in f16 on the way, each of which was rounded once
};

// The sum of a[i] * b[i], which hold f16 numbers: of each chunk the even and the odd columns one
// after the other, a product and its addition rounded together; then both; then the chunks in f32.
// The product of two f16 numbers and its sum with a third are exact in double.
inline F16Sum SumOfProducts(std::span<const double> a, std::span<const double> b) {
  F16Sum result;
  for (size_t begin = 0; begin < a.size(); begin += kF16ChunkColumns) {
    const size_t end = std::min(a.size(), begin + kF16ChunkColumns);
    double sums[2] = {0, 0};
    for (size_t i = begin; i < end; ++i) {
      double& sum = sums[i % 2];
      sum = static_cast<double>(static_cast<_Float16>(sum + a[i] * b[i]));
      result.squares += sum * sum;
    }
    const auto chunk = static_cast<_Float16>(sums[0] + sums[1]);
    result.squares += static_cast<double>(chunk) * static_cast<double>(chunk);
    result.sum += static_cast<float>(chunk);
  }
  return result;
}

}  // namespace tailor
