// SPDX-License-Identifier: Apache-2.0
#include "engine/cpu/unpacked_linear.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>

#include "base/check.h"
#include "engine/model/product_weights.h"

namespace tailor {
namespace {

float ScaleOf(std::span<const float> row) {
  float largest = 0;
  for (const float value : row) largest = std::max(largest, std::abs(value));
  const float scale = largest / 127.0F;
  return scale == 0.0F ? 1.0F : scale;
}

void QuantizeWeights(UnpackedLinear& linear) {
  linear.is_int8 = true;
  linear.codes.resize(linear.weight.size());
  for (int o = 0; o < linear.out; ++o) {
    const size_t start = static_cast<size_t>(o) * linear.in;
    const float scale = ScaleOf(std::span<const float>(linear.weight).subspan(start, linear.in));
    linear.scale.push_back(scale);
    for (size_t i = start; i < start + linear.in; ++i) {
      // nearbyint rounds ties to even.
      const float code = std::clamp(std::nearbyint(linear.weight[i] / scale), -127.0F, 127.0F);
      linear.codes[i] = static_cast<int8_t>(code);
    }
  }
  linear.weight = {};
}

UnpackedLinear UnpackCodes(const LinearWeights& weights) {
  UnpackedLinear linear = {.out = static_cast<int>(weights.weight.dim(0)),
                           .in = static_cast<int>(weights.weight.dim(1)),
                           .is_int8 = true,
                           .scale = ToF32(weights.weight_scale),
                           .input_scale = weights.input_scale,
                           .bias = ToF32(weights.bias)};
  linear.codes.resize(weights.weight.num_elements());
  for (int o = 0; o < linear.out && linear.in > 0; ++o) {
    std::memcpy(linear.codes.data() + static_cast<size_t>(o) * linear.in, weights.weight.row(o),
                linear.in);
  }
  return linear;
}

template <typename T>
void Append(std::vector<T>& to, const std::vector<T>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

}  // namespace

UnpackedLinear Unpack(const LinearWeights& weights) {
  return {.out = static_cast<int>(weights.weight.dim(0)),
          .in = static_cast<int>(weights.weight.dim(1)),
          .weight = ToF32(weights.weight),
          .bias = ToF32(weights.bias)};
}

UnpackedLinear UnpackProduct(const ModelPackage& package, const LinearWeights& weights) {
  if (!IsFloat(weights.weight.dtype)) return UnpackCodes(weights);
  UnpackedLinear linear = Unpack(weights);
  if (IsInt8(package, weights)) {
    QuantizeWeights(linear);
  } else if (package.format == WeightFormat::kF16) {
    for (float& value : linear.weight) value = RoundToF16(value);
  }
  return linear;
}

UnpackedLinear Scaled(UnpackedLinear linear, float factor) {
  for (std::vector<float>* values : {&linear.weight, &linear.scale, &linear.bias}) {
    for (float& value : *values) value *= factor;
  }
  return linear;
}

bool AreStackable(const UnpackedLinear& first, const UnpackedLinear& second) {
  return first.in == second.in && first.is_int8 == second.is_int8 &&
         first.input_scale == second.input_scale;
}

UnpackedLinear Stack(UnpackedLinear first, const UnpackedLinear& second) {
  TAILOR_CHECK(AreStackable(first, second));
  first.out += second.out;
  Append(first.weight, second.weight);
  Append(first.codes, second.codes);
  Append(first.scale, second.scale);
  Append(first.bias, second.bias);
  return first;
}

UnpackedLinear Outputs(const UnpackedLinear& linear, int first, int count) {
  TAILOR_CHECK(!linear.is_int8);
  const int64_t in = linear.in;
  const auto row = linear.weight.begin() + first * in;
  const auto bias = linear.bias.begin() + first;
  return {.out = count,
          .in = linear.in,
          .weight = {row, row + count * in},
          .bias = {bias, bias + count}};
}

UnpackedLinear Inputs(const UnpackedLinear& linear, int first, int count) {
  TAILOR_CHECK(!linear.is_int8);
  UnpackedLinear part = {.out = linear.out, .in = count, .bias = linear.bias};
  part.weight.reserve(static_cast<size_t>(linear.out) * count);
  for (int64_t o = 0; o < linear.out; ++o) {
    const auto row = linear.weight.begin() + o * linear.in + first;
    part.weight.insert(part.weight.end(), row, row + count);
  }
  return part;
}

}  // namespace tailor
