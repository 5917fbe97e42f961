// SPDX-License-Identifier: Apache-2.0
#include "engine/cpu/unpacked_linear.h"

#include "gtest/gtest.h"

namespace tailor {
namespace {

template <typename T>
TensorView View(const std::vector<T>& values, DType dtype, std::vector<int64_t> shape) {
  return {.data = reinterpret_cast<const std::byte*>(values.data()),
          .dtype = dtype,
          .shape = std::move(shape)};
}

ModelPackage PackageOf(WeightFormat format) {
  ModelPackage package;
  package.format = format;
  return package;
}

TEST(UnpackedLinear, QuantizesRowByRow) {
  // Steps of 0.5, of 1 (a row of zeros), of 2 with a tie at 31.5 and one at 30.5.
  const std::vector<float> weight = {63.5F, -0.25F, 0.75F, 0, 0, 0, 254.0F, 63.0F, -61.0F};
  const std::vector<float> bias = {1, 2, 3};
  const UnpackedLinear linear = UnpackProduct(
      PackageOf(WeightFormat::kInt8),
      {.weight = View(weight, DType::kF32, {3, 3}), .bias = View(bias, DType::kF32, {3})});
  EXPECT_TRUE(linear.is_int8);
  EXPECT_EQ(linear.scale, (std::vector<float>{0.5F, 1.0F, 2.0F}));
  EXPECT_EQ(linear.codes, (std::vector<int8_t>{127, 0, 2, 0, 0, 0, 127, 32, -30}));
  EXPECT_TRUE(linear.weight.empty());
  EXPECT_EQ(linear.bias, bias);
}

// A format asks for codes of floats; stored codes stay codes whatever the format says, and a view
// that leaves out columns keeps their row's scale.
TEST(UnpackedLinear, TakesStoredCodes) {
  const std::vector<int8_t> codes = {1, 2, 3, 4, 5, 6};
  const std::vector<float> scale = {0.5F, 0.25F};
  const std::vector<float> bias = {1, 2};
  for (const WeightFormat format : {WeightFormat::kF32, WeightFormat::kInt8, WeightFormat::kF16}) {
    const UnpackedLinear linear = UnpackProduct(
        PackageOf(format), {.weight = FirstColumns(View(codes, DType::kI8, {2, 3}), 2),
                            .bias = View(bias, DType::kF32, {2}),
                            .weight_scale = View(scale, DType::kF32, {2}),
                            .input_scale = 0.125F});
    EXPECT_TRUE(linear.is_int8);
    EXPECT_EQ(linear.in, 2);
    EXPECT_EQ(linear.codes, (std::vector<int8_t>{1, 2, 4, 5}));
    EXPECT_EQ(linear.scale, scale);
    EXPECT_EQ(linear.input_scale, 0.125F);
  }
}

TEST(UnpackedLinear, RoundsToF16) {
  const std::vector<float> weight = {1.0F + 0x1p-11F, 1.0F + 0x1.8p-10F};
  const std::vector<float> bias = {1.0F + 0x1p-11F};
  const UnpackedLinear linear = UnpackProduct(
      PackageOf(WeightFormat::kF16),
      {.weight = View(weight, DType::kF32, {1, 2}), .bias = View(bias, DType::kF32, {1})});
  EXPECT_EQ(linear.weight, (std::vector<float>{1.0F, 1.0F + 0x1p-9F}));
  EXPECT_EQ(linear.bias, bias);
}

TEST(UnpackedLinear, StacksWhatOneStepCanCompute) {
  const UnpackedLinear a = {.out = 1, .in = 2, .weight = {1, 2}, .bias = {3}};
  const UnpackedLinear b = {.out = 1, .in = 2, .weight = {4, 5}, .bias = {6}};
  const UnpackedLinear both = Stack(a, b);
  EXPECT_EQ(both.out, 2);
  EXPECT_EQ(both.weight, (std::vector<float>{1, 2, 4, 5}));
  EXPECT_EQ(both.bias, (std::vector<float>{3, 6}));
  const UnpackedLinear codes = {
      .out = 1, .in = 2, .is_int8 = true, .codes = {1, 2}, .scale = {1}, .bias = {3}};
  UnpackedLinear fixed = codes;
  fixed.input_scale = 0.5F;
  EXPECT_TRUE(AreStackable(codes, codes));
  EXPECT_FALSE(AreStackable(a, codes));
  EXPECT_FALSE(AreStackable(codes, fixed));
  EXPECT_EQ(Scaled(Stack(codes, codes), 2).scale, (std::vector<float>{2, 2}));
}

TEST(UnpackedLinear, CutsPanels) {
  const UnpackedLinear linear = {.out = 2, .in = 3, .weight = {1, 2, 3, 4, 5, 6}, .bias = {7, 8}};
  EXPECT_EQ(Outputs(linear, 1, 1).weight, (std::vector<float>{4, 5, 6}));
  EXPECT_EQ(Outputs(linear, 1, 1).bias, (std::vector<float>{8}));
  EXPECT_EQ(Inputs(linear, 1, 2).weight, (std::vector<float>{2, 3, 5, 6}));
  EXPECT_EQ(Inputs(linear, 1, 2).bias, linear.bias);
}

}  // namespace
}  // namespace tailor
