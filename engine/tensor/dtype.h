// SPDX-License-Identifier: Apache-2.0
// Element types of stored tensors.
#pragma once

#include <cstddef>
#include <string_view>

namespace tailor {

// kU8 and kI64 only hold bitmasks and their shapes: no view that a backend sees has them.
enum class DType { kF32, kF16, kBf16, kI8, kU8, kI64 };

constexpr size_t ByteSize(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return 4;
    case DType::kF16:
    case DType::kBf16:
      return 2;
    case DType::kI8:
    case DType::kU8:
      return 1;
    case DType::kI64:
      return 8;
  }
  return 0;
}

constexpr std::string_view DTypeName(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return "f32";
    case DType::kF16:
      return "f16";
    case DType::kBf16:
      return "bf16";
    case DType::kI8:
      return "i8";
    case DType::kU8:
      return "u8";
    case DType::kI64:
      return "i64";
  }
  return "?";
}

constexpr bool IsFloat(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBf16;
}

}  // namespace tailor
