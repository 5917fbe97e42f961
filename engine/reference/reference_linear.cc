// SPDX-License-Identifier: Apache-2.0
// The three arithmetics of a linear step, as their definitions stand.
#include <algorithm>
#include <cmath>

#include "engine/reference/reference_model.h"

namespace tailor::reference {
namespace {

float SumOfFloats(const Linear& linear, std::span<const float> x, size_t output) {
  double sum = linear.bias[output];
  for (size_t i = 0; i < linear.in; ++i) {
    sum += static_cast<double>(x[i]) * linear.weight[output * linear.in + i];
  }
  return static_cast<float>(sum);
}

int32_t SumOfCodes(const Linear& linear, std::span<const int8_t> x, size_t output) {
  int32_t sum = 0;
  for (size_t i = 0; i < linear.in; ++i) {
    sum += static_cast<int32_t>(x[i]) * linear.codes[output * linear.in + i];
  }
  return sum;
}

}  // namespace

float ScaleOf(std::span<const float> values) {
  float largest = 0;
  for (const float value : values) {
    if (std::isnan(value)) return value;
    largest = std::max(largest, std::abs(value));
  }
  const float scale = largest / 127.0F;
  return scale == 0.0F ? 1.0F : scale;
}

std::vector<int8_t> Quantize(std::span<const float> values, float scale) {
  std::vector<int8_t> codes;
  for (const float value : values) {
    // nearbyint rounds ties to even; a NaN, whose row has a NaN for its scale, may be any code.
    const float code = std::nearbyint(value / scale);
    codes.push_back(std::isnan(code) ? int8_t{0}
                                     : static_cast<int8_t>(std::clamp(code, -127.0F, 127.0F)));
  }
  return codes;
}

std::vector<float> Apply(const Linear& linear, std::span<const float> x, size_t rows) {
  const size_t out = linear.bias.size();
  std::vector<float> y;
  for (size_t r = 0; r < rows; ++r) {
    std::vector<float> row(x.begin() + static_cast<int64_t>(r * linear.in),
                           x.begin() + static_cast<int64_t>((r + 1) * linear.in));
    if (linear.arithmetic == Arithmetic::kInt8) {
      const float own_scale = ScaleOf(row);
      const bool is_static = linear.input_scale > 0 && !std::isnan(own_scale);
      const float scale = is_static ? linear.input_scale : own_scale;
      const std::vector<int8_t> codes = Quantize(row, scale);
      for (size_t o = 0; o < out; ++o) {
        const auto sum = static_cast<float>(SumOfCodes(linear, codes, o));
        y.push_back(sum * (scale * linear.scale[o]) + linear.bias[o]);
      }
      continue;
    }
    if (linear.arithmetic == Arithmetic::kBf16) {
      for (float& value : row) value = RoundToBf16(value);
    }
    for (size_t o = 0; o < out; ++o) y.push_back(SumOfFloats(linear, row, o));
  }
  return y;
}

}  // namespace tailor::reference
