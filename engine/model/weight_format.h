// SPDX-License-Identifier: Apache-2.0
// How the products of a variant's encoder are computed. The head and everything else stay f32.
#pragma once

#include <string_view>

namespace tailor {

// kBf16: inputs and weights rounded to bf16, f32 sums. kF16: weights rounded to f16, computed in
// f32. kInt8: weights and inputs rounded to 8 bits, exact int32 sums (docs/numerics.md).
enum class WeightFormat { kF32, kBf16, kF16, kInt8 };

constexpr std::string_view WeightFormatName(WeightFormat format) {
  switch (format) {
    case WeightFormat::kF32:
      return "f32";
    case WeightFormat::kBf16:
      return "bf16";
    case WeightFormat::kF16:
      return "f16";
    case WeightFormat::kInt8:
      return "int8";
  }
  return "?";
}

}  // namespace tailor
