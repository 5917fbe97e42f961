// SPDX-License-Identifier: Apache-2.0
#include "engine/tensor/tensor_view.h"

#include <bit>
#include <cstring>

#include "base/check.h"

namespace tailor {
namespace {

uint16_t LoadBits(const std::byte* data, size_t index) {
  uint16_t bits = 0;
  std::memcpy(&bits, data + index * sizeof(bits), sizeof(bits));
  return bits;
}

void ConvertRow(const std::byte* row, DType dtype, std::span<float> out) {
  switch (dtype) {
    case DType::kF32:
      std::memcpy(out.data(), row, out.size_bytes());
      return;
    case DType::kF16:
      for (size_t i = 0; i < out.size(); ++i) out[i] = F16Value(LoadBits(row, i));
      return;
    case DType::kBf16:
      for (size_t i = 0; i < out.size(); ++i) out[i] = Bf16Value(LoadBits(row, i));
      return;
    case DType::kI8:
      for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<int8_t>(row[i]);
      return;
    case DType::kU8:
    case DType::kI64:
      break;
  }
  TAILOR_CHECK(IsFloat(dtype));
}

}  // namespace

size_t TensorView::num_elements() const {
  size_t count = 1;
  for (const int64_t dim : shape) count *= static_cast<size_t>(dim);
  return count;
}

size_t TensorView::row_elements() const {
  size_t count = 1;
  for (size_t axis = 1; axis < shape.size(); ++axis) count *= static_cast<size_t>(shape[axis]);
  return count;
}

const std::byte* TensorView::row(size_t index) const {
  const size_t stride = row_stride != 0 ? static_cast<size_t>(row_stride) : row_elements();
  return data + index * stride * ByteSize(dtype);
}

TensorView FirstRows(const TensorView& view, int64_t rows) {
  TAILOR_CHECK(!view.shape.empty() && rows <= view.shape[0]);
  TensorView part = view;
  part.shape[0] = rows;
  return part;
}

TensorView WholeRows(const TensorView& view) {
  TensorView whole = view;
  if (view.row_stride != 0) whole.shape[1] = view.row_stride;
  whole.row_stride = 0;
  return whole;
}

TensorView FirstColumns(const TensorView& view, int64_t columns) {
  TAILOR_CHECK(view.shape.size() == 2 && columns <= view.shape[1]);
  TensorView part = view;
  if (part.row_stride == 0) part.row_stride = view.shape[1];
  part.shape[1] = columns;
  return part;
}

void ConvertToF32(const TensorView& view, std::span<float> out) {
  TAILOR_CHECK(out.size() == view.num_elements());
  if (out.empty()) return;
  const size_t rows = view.shape.empty() ? 1 : static_cast<size_t>(view.shape[0]);
  const size_t columns = view.row_elements();
  for (size_t r = 0; r < rows; ++r) {
    ConvertRow(view.row(r), view.dtype, out.subspan(r * columns, columns));
  }
}

std::vector<float> ToF32(const TensorView& view) {
  if (view.empty()) return {};
  std::vector<float> values(view.num_elements());
  ConvertToF32(view, values);
  return values;
}

float RoundToF16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = bits & 0x80000000U;
  const uint32_t magnitude = bits & 0x7FFFFFFFU;
  if (magnitude >= 0x7F800000U) return value;  // infinity and NaN
  if (magnitude >= 0x477FF000U) return std::bit_cast<float>(sign | 0x7F800000U);
  if (magnitude < 0x38800000U) {
    // Below the smallest normal f16 its step is 2^-24; adding and subtracting a power of two whose
    // f32 step is the same rounds to it.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5F;
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(shifted - 0.5F));
  }
  const uint32_t rounded = magnitude + 0xFFFU + ((magnitude >> 13) & 1U);
  return std::bit_cast<float>(sign | (rounded & 0xFFFFE000U));
}

uint16_t F16Bits(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(RoundToF16(value));
  const uint32_t magnitude = bits & 0x7FFFFFFFU;
  uint32_t half = 0x7E00U;
  if (magnitude < 0x38800000U) {  // a multiple of the smallest f16
    half = static_cast<uint32_t>(std::bit_cast<float>(magnitude) * 0x1p24F);
  } else if (magnitude < 0x7F800000U) {  // from a bias of the exponent of 127 to one of 15
    half = (magnitude - (112U << 23)) >> 13;
  } else if (magnitude == 0x7F800000U) {
    half = 0x7C00U;
  }
  return static_cast<uint16_t>((bits >> 16 & 0x8000U) | half);
}

// Shifts the half's exponent and mantissa into place and corrects the bias by a multiplication,
// which is exact and normalises subnormals too. Infinity and NaN keep all exponent bits.
float F16Value(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000U) << 16;
  const uint32_t magnitude = static_cast<uint32_t>(half & 0x7FFFU) << 13;
  const float scaled = std::bit_cast<float>(magnitude) * 0x1p112F;
  const uint32_t bits =
      magnitude >= 0x0F800000U ? (magnitude | 0x7F800000U) : std::bit_cast<uint32_t>(scaled);
  return std::bit_cast<float>(sign | bits);
}

float Bf16Value(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

uint16_t Bf16Bits(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if (value != value) return static_cast<uint16_t>((bits >> 16 & 0x8000U) | 0x7FC0U);
  return static_cast<uint16_t>((bits + 0x7FFFU + (bits >> 16 & 1U)) >> 16);
}

}  // namespace tailor
