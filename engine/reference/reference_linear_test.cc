// SPDX-License-Identifier: Apache-2.0
// The arbiter's own arithmetic against values worked out by hand.
#include <cmath>
#include <limits>

#include "gtest/gtest.h"

#include "engine/reference/reference_model.h"

namespace tailor::reference {
namespace {

TEST(Quantize, RoundsTiesToEvenAndClampsSymmetrically) {
  const std::vector<float> values = {0.5F,   1.5F,   2.5F,    -0.5F, -1.5F,
                                     126.4F, 127.6F, -128.0F, 1e30F};
  EXPECT_EQ(Quantize(values, 1.0F), (std::vector<int8_t>{0, 2, 2, 0, -2, 126, 127, -127, 127}));
}

TEST(Quantize, DividesByTheScale) {
  EXPECT_EQ(Quantize(std::vector<float>{1.0F, -0.75F, 0.2F}, 0.25F),
            (std::vector<int8_t>{4, -3, 1}));
}

TEST(ScaleOf, FitsTheLargestMagnitude) {
  EXPECT_FLOAT_EQ(ScaleOf(std::vector<float>{1.0F, -254.0F, 3.0F}), 2.0F);
  EXPECT_EQ(ScaleOf(std::vector<float>{0.0F, -0.0F}), 1.0F);
  EXPECT_EQ(ScaleOf(std::vector<float>{}), 1.0F);
  EXPECT_TRUE(
      std::isnan(ScaleOf(std::vector<float>{1.0F, std::numeric_limits<float>::quiet_NaN(), 2.0F})));
}

// Row 0: scale 2, codes 127 -64 (tie to even from -63.5); row 1: scale 0.01, codes 100 127.
TEST(Apply, Int8DynamicByHand) {
  const Linear linear = {.arithmetic = Arithmetic::kInt8,
                         .in = 2,
                         .codes = {1, 2, -3, 4},
                         .scale = {0.5F, 0.25F},
                         .bias = {10.0F, -1.0F}};
  const std::vector<float> y = Apply(linear, std::vector<float>{254.0F, -127.0F, 1.0F, 1.27F}, 2);
  ASSERT_EQ(y.size(), 4U);
  EXPECT_FLOAT_EQ(y[0], (127 - 2 * 64) * 2 * 0.5F + 10);
  EXPECT_FLOAT_EQ(y[1], (-3 * 127 - 4 * 64) * 2 * 0.25F - 1);
  EXPECT_FLOAT_EQ(y[2], (100 + 2 * 127) * 0.01F * 0.5F + 10);
  EXPECT_FLOAT_EQ(y[3], (-3 * 100 + 4 * 127) * 0.01F * 0.25F - 1);
}

TEST(Apply, Int8StaticClampsWhatTheScaleDoesNotReach) {
  const Linear linear = {.arithmetic = Arithmetic::kInt8,
                         .in = 2,
                         .codes = {1, 10},
                         .scale = {1.0F},
                         .input_scale = 0.5F,
                         .bias = {0.0F}};
  EXPECT_EQ(Apply(linear, std::vector<float>{1000.0F, 1.0F}, 1),
            (std::vector<float>{(127 + 10 * 2) * 0.5F}));
}

TEST(Apply, WithoutInputsGivesTheBias) {
  const Linear linear = {.in = 0, .bias = {3.0F, 4.0F}};
  EXPECT_EQ(Apply(linear, {}, 2), (std::vector<float>{3, 4, 3, 4}));
}

}  // namespace
}  // namespace tailor::reference
