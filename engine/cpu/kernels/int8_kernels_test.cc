// SPDX-License-Identifier: Apache-2.0
// The int8 kernels of every instruction set that this host has: codes and sums exactly as plain
// loops over integers give them.
#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "engine/cpu/cpu_isa.h"
#include "engine/cpu/kernel_table.h"

namespace tailor {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr int8_t kGuard = 99;  // behind every output: kernels must not write there

size_t RoundUp(size_t value, size_t unit) { return (value + unit - 1) / unit * unit; }

std::vector<float> Random(size_t size, uint32_t seed, float scale = 1) {
  std::mt19937 random(seed);
  std::vector<float> values(size);
  for (float& v : values) v = scale * (static_cast<float>(random()) * 0x1p-31F - 1.0F);
  return values;
}

class Int8Kernels : public ::testing::TestWithParam<CpuIsa> {
 protected:
  void SetUp() override {
    if (!HostHas(GetParam())) GTEST_SKIP() << "this host lacks " << CpuIsaName(GetParam());
  }
  const KernelSet& kernels() const { return KernelsFor(GetParam()); }

  struct Quantized {
    std::vector<int8_t> codes;  // [rows, stride]
    std::vector<float> scales;
  };
  Quantized Quantize(const std::vector<float>& x, int rows, int columns, size_t x_stride,
                     float fixed_scale) const {
    const size_t stride = RoundUp(columns, kCodePadding);
    Quantized q = {.codes = std::vector<int8_t>(rows * stride + 1, kGuard),
                   .scales = std::vector<float>(rows)};
    kernels().quantize_rows({.x = x.data(),
                             .x_stride = x_stride,
                             .rows = rows,
                             .columns = columns,
                             .fixed_scale = fixed_scale,
                             .codes = q.codes.data(),
                             .codes_stride = stride,
                             .scales = q.scales.data()});
    EXPECT_EQ(q.codes.back(), kGuard);
    return q;
  }
};

int8_t CodeOf(float value, float scale) {
  return static_cast<int8_t>(std::clamp(std::nearbyint(value / scale), -127.0F, 127.0F));
}

TEST_P(Int8Kernels, QuantizeRows) {
  for (const int columns : {1, 3, 7, 16, 33, 64, 77, 100, 384, 1536}) {
    for (const float fixed_scale : {0.0F, 0.011F}) {
      const int rows = 5;
      const size_t x_stride = columns + 3;
      std::vector<float> x = Random(rows * x_stride, 1, 2);
      std::fill_n(x.begin() + static_cast<int64_t>(2 * x_stride), columns, 0.0F);
      x[3 * x_stride] = -1e-38F * static_cast<float>(columns);
      x[4 * x_stride] = 3e38F;
      const Quantized q = Quantize(x, rows, columns, x_stride, fixed_scale);
      const size_t stride = RoundUp(columns, kCodePadding);
      for (int r = 0; r < rows; ++r) {
        float largest = 0;
        for (int i = 0; i < columns; ++i)
          largest = std::max(largest, std::abs(x[r * x_stride + i]));
        const float own = largest == 0 ? 1.0F : largest / 127.0F;
        const float scale = fixed_scale > 0 ? fixed_scale : own;
        EXPECT_EQ(q.scales[r], scale);
        for (size_t i = 0; i < stride; ++i) {
          const int8_t code =
              i < static_cast<size_t>(columns) ? CodeOf(x[r * x_stride + i], scale) : int8_t{0};
          ASSERT_EQ(q.codes[r * stride + i], code) << columns << " row " << r << " column " << i;
        }
      }
    }
  }
}

TEST_P(Int8Kernels, QuantizeRowsTakesTiesToEvenAndClamps) {
  const std::vector<float> x = {0.5F,  1.5F,    2.5F,      -0.5F,      -1.5F,  -2.5F,
                                63.5F, 126.50F, 127.4F,    -127.5F,    200.0F, -1e30F,
                                1e38F, -1e38F,  kInfinity, -kInfinity, 0.0F,   -0.0F};
  const std::vector<int8_t> expected = {0,    2,   2,    0,   -2,   -2,  64,   126, 127,
                                        -127, 127, -127, 127, -127, 127, -127, 0,   0};
  const int columns = static_cast<int>(x.size());
  Quantized q = Quantize(x, 1, columns, columns, 1.0F);
  q.codes.resize(x.size());
  EXPECT_EQ(q.codes, expected);
  EXPECT_EQ(q.scales[0], 1.0F);
}

// A value that is no number must reach the output, where Run finds it.
TEST_P(Int8Kernels, QuantizeRowsKeepsNanAndInfinity) {
  for (const int position : {0, 5, 40}) {
    for (const float fixed_scale : {0.0F, 0.5F}) {
      std::vector<float> x = Random(41, 3);
      x[position] = kNan;
      EXPECT_TRUE(std::isnan(Quantize(x, 1, 41, 41, fixed_scale).scales[0]));
      x[position] = -kNan;
      EXPECT_TRUE(std::isnan(Quantize(x, 1, 41, 41, fixed_scale).scales[0]));
    }
    std::vector<float> x = Random(41, 3);
    x[position] = -kInfinity;
    EXPECT_EQ(Quantize(x, 1, 41, 41, 0).scales[0], kInfinity);
  }
}

TEST_P(Int8Kernels, MultiplyCodesIsExact) {
  for (const bool is_extreme : {false, true}) {
    for (const int in : {64, 128, 448, 3072}) {
      for (const int rows : {1, 2, 3, 4, 5, 8, 11}) {
        const int out = 16;
        std::mt19937 random(7);
        const auto code = [&] {
          return static_cast<int8_t>(is_extreme ? (random() % 5 == 0 ? -127 : 127)
                                                : static_cast<int>(random() % 255) - 127);
        };
        std::vector<int8_t> x(static_cast<size_t>(rows) * in);
        std::vector<int8_t> weight(static_cast<size_t>(out) * in);
        std::generate(x.begin(), x.end(), code);
        std::generate(weight.begin(), weight.end(), code);
        std::vector<int32_t> sums(static_cast<size_t>(rows) * out + 1, kGuard);
        kernels().multiply_codes({.x = x.data(),
                                  .weight = weight.data(),
                                  .rows = rows,
                                  .out = out,
                                  .in = in,
                                  .sums = sums.data()});
        EXPECT_EQ(sums.back(), kGuard);
        for (int r = 0; r < rows; ++r) {
          for (int o = 0; o < out; ++o) {
            int32_t expected = 0;
            for (int i = 0; i < in; ++i) expected += x[r * in + i] * weight[o * in + i];
            ASSERT_EQ(sums[r * out + o], expected) << rows << "x" << in << " row " << r;
          }
        }
      }
    }
  }
}

// Three roundings to f32: of the sum, of each product and, without a fused one, of the addition.
TEST_P(Int8Kernels, ScaleSums) {
  for (const bool has_bias : {false, true}) {
    for (const int columns : {1, 5, 16, 33, 100, 384}) {
      const int rows = 3;
      const size_t stride = RoundUp(columns, kSumPadding);
      const size_t out_stride = columns + 2;
      std::mt19937 random(5);
      std::vector<int32_t> sums(rows * stride);
      for (int32_t& sum : sums) sum = static_cast<int32_t>(random() % 100000000) - 50000000;
      const std::vector<float> row_scale = Random(rows, 1, 0.01F);
      const std::vector<float> column_scale = Random(columns, 2, 0.01F);
      const std::vector<float> bias = Random(columns, 3);
      std::vector<float> out(rows * out_stride, kGuard);
      kernels().scale_sums({.sums = sums.data(),
                            .sums_stride = stride,
                            .row_scale = row_scale.data(),
                            .column_scale = column_scale.data(),
                            .bias = has_bias ? bias.data() : nullptr,
                            .rows = rows,
                            .columns = columns,
                            .out = out.data(),
                            .out_stride = out_stride});
      for (int r = 0; r < rows; ++r) {
        for (int c = 0; c < columns; ++c) {
          const double scaled =
              static_cast<double>(sums[r * stride + c]) * row_scale[r] * column_scale[c];
          const double expected = scaled + (has_bias ? bias[c] : 0.0F);
          const double bound = 0x1p-24 * (3 * std::abs(scaled) + std::abs(expected));
          ASSERT_NEAR(out[r * out_stride + c], expected, bound);
        }
        EXPECT_EQ(out[r * out_stride + columns], kGuard);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Isa, Int8Kernels,
                         ::testing::Values(CpuIsa::kPortable, CpuIsa::kAvx2, CpuIsa::kAvx512Vnni,
                                           CpuIsa::kAvx512Fp16, CpuIsa::kAmx),
                         [](const auto& test) { return std::string(CpuIsaName(test.param)); });

}  // namespace
}  // namespace tailor
