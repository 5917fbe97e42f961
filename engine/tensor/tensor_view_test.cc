// SPDX-License-Identifier: Apache-2.0
#include "engine/tensor/tensor_view.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <string>

#include "tests/testing/safetensors_writer.h"

namespace tailor {
namespace {

TensorView ViewOf(const std::string& bytes, DType dtype, int64_t count) {
  return {
      .data = reinterpret_cast<const std::byte*>(bytes.data()), .dtype = dtype, .shape = {count}};
}

// Every f16 value against the definition of the format; also checks the tests' own rounding.
TEST(ConvertToF32Test, IsExactForEveryF16) {
  for (uint32_t half = 0; half < 65536; ++half) {
    const auto bits = static_cast<uint16_t>(half);
    const std::string bytes(reinterpret_cast<const char*>(&bits), sizeof(bits));
    const float value = ToF32(ViewOf(bytes, DType::kF16, 1))[0];
    const int exponent = static_cast<int>((half >> 10) & 31U);
    const auto mantissa = static_cast<float>(half & 1023U);
    const float sign = (half & 0x8000U) != 0 ? -1.0F : 1.0F;
    if (exponent == 31) {
      EXPECT_EQ(std::isnan(value), mantissa != 0) << half;
      EXPECT_FALSE(std::isfinite(value)) << half;
      continue;
    }
    const float expected =
        exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024.0F + mantissa, exponent - 25);
    ASSERT_EQ(value, sign * expected) << half;
    ASSERT_EQ(testing::F16FromF32(value), bits) << half;
  }
}

TEST(ConvertToF32Test, WidensBf16AndCopiesF32FromUnalignedData) {
  const std::vector<float> values = {1.0F, -2.5F, 0.0F, 1e-40F, 3.0e38F};
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    const std::string shifted = "x" + testing::MakeTensor(dtype, {5}, values).bytes;
    TensorView view = ViewOf(shifted, dtype, 5);
    view.data += 1;
    const std::vector<float> out = ToF32(view);
    for (size_t i = 0; i < values.size(); ++i) {
      EXPECT_NEAR(out[i], values[i], std::abs(values[i]) / 256 + 1e-38F) << DTypeName(dtype);
    }
    if (dtype == DType::kF32) {
      EXPECT_EQ(out, values);
    }
  }
}

TEST(ConvertToF32Test, GivesTheCodesOfI8) {
  const std::string bytes = testing::MakeTensor(DType::kI8, {4}, {{-128, -1, 0, 127}}).bytes;
  EXPECT_EQ(ToF32(ViewOf(bytes, DType::kI8, 4)), (std::vector<float>{-128, -1, 0, 127}));
}

TEST(TensorViewTest, FirstRowsAndColumnsAreViewsOfTheSameMemory) {
  std::vector<float> values(12);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kI8}) {
    const std::string bytes = testing::MakeTensor(dtype, {3, 4}, values).bytes;
    TensorView matrix = ViewOf(bytes, dtype, 12);
    matrix.shape = {3, 4};
    const TensorView part = FirstColumns(FirstRows(matrix, 2), 3);
    EXPECT_EQ(part.data, matrix.data);
    EXPECT_EQ(part.num_elements(), 6u);
    EXPECT_EQ(ToF32(part), (std::vector<float>{0, 1, 2, 4, 5, 6})) << DTypeName(dtype);
    EXPECT_EQ(ToF32(FirstColumns(part, 1)), (std::vector<float>{0, 4})) << DTypeName(dtype);
    EXPECT_TRUE(ToF32(FirstColumns(matrix, 0)).empty());
  }
}

// Against the tests' own rounding, which another test holds against the format's definition.
TEST(RoundToF16Test, IsTheNearestF16) {
  for (uint32_t bits = 0; bits < 0x7F800000U; bits += 0x1357) {
    for (const float value : {std::bit_cast<float>(bits), -std::bit_cast<float>(bits)}) {
      const uint16_t half = testing::F16FromF32(value);
      const std::string bytes(reinterpret_cast<const char*>(&half), sizeof(half));
      ASSERT_EQ(RoundToF16(value), ToF32(ViewOf(bytes, DType::kF16, 1))[0]) << value;
      ASSERT_EQ(F16Bits(value), half) << value;
    }
  }
  EXPECT_TRUE(std::isnan(RoundToF16(std::nanf(""))));
  EXPECT_EQ(F16Bits(std::numeric_limits<float>::infinity()), 0x7C00);
  EXPECT_EQ(F16Bits(std::nanf("")), 0x7E00);
}

TEST(ConvertToF32Test, EmptyViewGivesNothing) { EXPECT_TRUE(ToF32(TensorView{}).empty()); }

TEST(F16FromF32Test, RoundsToNearestEven) {
  EXPECT_EQ(testing::F16FromF32(1.0F + 0x1p-11F), 0x3C00);  // tie, down to even
  EXPECT_EQ(testing::F16FromF32(1.0F + 0x3p-11F), 0x3C02);  // tie, up to even
  EXPECT_EQ(testing::F16FromF32(65520.0F), 0x7C00);
  EXPECT_EQ(testing::F16FromF32(0x1p-25F), 0x0000);
}

}  // namespace
}  // namespace tailor
