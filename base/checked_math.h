// SPDX-License-Identifier: Apache-2.0
// Size arithmetic on numbers that come from files or callers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace tailor {

// a * b, or nothing when it does not fit.
inline std::optional<size_t> CheckedMul(size_t a, size_t b) {
  size_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

// Product of the dimensions, or nothing when one is negative or the product does not fit.
inline std::optional<size_t> CheckedElementCount(std::span<const int64_t> shape) {
  size_t count = 1;
  for (const int64_t dim : shape) {
    if (dim < 0) return std::nullopt;
    const std::optional<size_t> next = CheckedMul(count, static_cast<size_t>(dim));
    if (!next) return std::nullopt;
    count = *next;
  }
  return count;
}

}  // namespace tailor
