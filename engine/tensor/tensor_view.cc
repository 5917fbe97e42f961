// SPDX-License-Identifier: Apache-2.0
#include "engine/tensor/tensor_view.h"

#include <bit>
#include <cstring>

#include "base/check.h"

namespace tailor {
namespace {

// Shifts the half's exponent and mantissa into place and corrects the bias by a multiplication,
// which is exact and normalises subnormals too. Infinity and NaN keep all exponent bits.
float F32FromF16(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000U) << 16;
  const uint32_t magnitude = static_cast<uint32_t>(half & 0x7FFFU) << 13;
  const float scaled = std::bit_cast<float>(magnitude) * 0x1p112F;
  const uint32_t bits =
      magnitude >= 0x0F800000U ? (magnitude | 0x7F800000U) : std::bit_cast<uint32_t>(scaled);
  return std::bit_cast<float>(sign | bits);
}

float F32FromBf16(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

uint16_t LoadBits(const std::byte* data, size_t index) {
  uint16_t bits = 0;
  std::memcpy(&bits, data + index * sizeof(bits), sizeof(bits));
  return bits;
}

}  // namespace

size_t TensorView::num_elements() const {
  size_t count = 1;
  for (const int64_t dim : shape) count *= static_cast<size_t>(dim);
  return count;
}

void ConvertToF32(const TensorView& view, std::span<float> out) {
  TAILOR_CHECK(out.size() == view.num_elements());
  switch (view.dtype) {
    case DType::kF32:
      if (!out.empty()) std::memcpy(out.data(), view.data, out.size_bytes());
      return;
    case DType::kF16:
      for (size_t i = 0; i < out.size(); ++i) out[i] = F32FromF16(LoadBits(view.data, i));
      return;
    case DType::kBf16:
      for (size_t i = 0; i < out.size(); ++i) out[i] = F32FromBf16(LoadBits(view.data, i));
      return;
  }
}

std::vector<float> ToF32(const TensorView& view) {
  if (view.empty()) return {};
  std::vector<float> values(view.num_elements());
  ConvertToF32(view, values);
  return values;
}

}  // namespace tailor
