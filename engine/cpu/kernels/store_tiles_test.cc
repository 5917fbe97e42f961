// SPDX-License-Identifier: Apache-2.0
// Rows stored in tiles against plain loops. Tolerances: docs/numerics.md.
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "engine/cpu/cpu_isa.h"
#include "engine/cpu/kernel_table.h"
#include "engine/cpu/kernels/kernel_test_values.h"
#include "engine/cpu/kernels/tile_test_values.h"

namespace tailor {
namespace {

TEST(StoreTiles, Bf16) {
  if (!HostHas(CpuIsa::kAmx)) GTEST_SKIP() << "this host lacks amx";
  for (const int columns : {1, 16, 26, 32, 60, 64, 100, 384}) {
    const std::vector<float> x = Random(20 * static_cast<size_t>(columns), 1, 3);
    for (const TileType type : {TileType::kBf16, TileType::kSplitBf16}) {
      const Tiles tiles(KernelsFor(CpuIsa::kAmx), type, 20, columns, 3);
      tiles.Store(x, 20);
      for (int r = 0; r < 20; ++r) {
        for (int c = 0; c < TileSteps(type, columns) * TileColumns(type); ++c) {
          const float value = c < columns ? x[r * columns + c] : 0.0F;
          const float high = RoundToBf16(value);
          ASSERT_EQ(FromBf16(tiles.At(r, c)), high) << r << ", " << c;
          if (type == TileType::kBf16) continue;
          ASSERT_EQ(FromBf16(tiles.At(r, c, 1)), RoundToBf16(value - high)) << r << ", " << c;
        }
      }
    }
  }
}

TEST(StoreTiles, F16) {
  if (!HostHas(CpuIsa::kAvx512Fp16)) GTEST_SKIP() << "this host lacks avx512_fp16";
  for (const int columns : {1, 16, 26, 32, 60, 64, 100, 384}) {
    std::vector<float> x = Random(20 * static_cast<size_t>(columns), 1, 3);
    x[0] = 65519.0F;          // the largest that is not rounded to infinity
    x[x.size() - 1] = 3e-8F;  // becomes the smallest f16
    if (columns > 1) x[1] = 1e6F;
    const Tiles tiles(KernelsFor(CpuIsa::kAvx512Fp16), TileType::kF16, 20, columns, 3);
    tiles.Store(x, 20);
    for (int r = 0; r < 20; ++r) {
      for (int c = 0; c < TileSteps(TileType::kF16, columns) * TileColumns(TileType::kF16); ++c) {
        const float value = c < columns ? x[r * columns + c] : 0.0F;
        ASSERT_EQ(FromF16(tiles.At(r, c)), RoundToF16(value)) << r << ", " << c;
      }
    }
  }
}

class TileCodes : public ::testing::TestWithParam<CpuIsa> {
 protected:
  void SetUp() override {
    if (!HostHas(GetParam())) GTEST_SKIP() << "this host lacks " << CpuIsaName(GetParam());
  }
};

// The codes and scales of plain rows: kernels of another instruction set, themselves tested against
// integers, and divisions instead of the corrected estimate.
void ExpectCodesOfRows(CpuIsa isa, const std::vector<float>& x, int rows, int columns,
                       float fixed_scale) {
  const Tiles tiles(KernelsFor(isa), TileType::kInt8, rows, columns, 5, fixed_scale);
  tiles.Store(x, rows);
  const size_t stride = (static_cast<size_t>(columns) + kCodePadding - 1) / 64 * 64;
  std::vector<int8_t> codes(rows * stride);
  std::vector<float> scales(rows);
  KernelsFor(CpuIsa::kPortable)
      .quantize_rows({.x = x.data(),
                      .x_stride = static_cast<size_t>(columns),
                      .rows = rows,
                      .columns = columns,
                      .fixed_scale = fixed_scale,
                      .codes = codes.data(),
                      .codes_stride = stride,
                      .scales = scales.data()});
  for (int r = 0; r < rows; ++r) {
    ASSERT_EQ(std::bit_cast<uint32_t>(tiles.scale(r)), std::bit_cast<uint32_t>(scales[r])) << r;
    if (std::isnan(scales[r])) continue;
    for (size_t c = 0; c < stride; ++c) {
      ASSERT_EQ(tiles.Code(r, static_cast<int>(c)), codes[r * stride + c]) << r << ", " << c;
    }
  }
}

TEST_P(TileCodes, StoreCodes) {
  for (const int columns : {1, 16, 26, 60, 64, 100, 384}) {
    for (const float fixed_scale : {0.0F, 0.02F, 1e-30F}) {
      ExpectCodesOfRows(GetParam(), Random(20 * static_cast<size_t>(columns), 1, 3), 20, columns,
                        fixed_scale);
    }
  }
}

TEST_P(TileCodes, StoreCodesOfSpecialRows) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const float largest : {0.0F, 1e-45F, 1e-40F, 1e-37F, 1e-14F, 1e19F, 1e21F, 3e38F, kInfinity,
                              std::numeric_limits<float>::quiet_NaN()}) {
    for (const float fixed_scale : {0.0F, 1.0F, 1e-20F}) {
      ExpectCodesOfRows(GetParam(), {largest, -largest / 2, 1.0F, -3e-39F, largest / 3}, 1, 5,
                        fixed_scale);
    }
  }
}

// Quotients that lie on and beside the middle between two codes, where a wrong last bit of the
// quotient is a wrong code.
TEST_P(TileCodes, StoreCodesOfTies) {
  std::mt19937 random(3);
  for (int round = 0; round < 2000; ++round) {
    std::vector<float> x(256);
    x[0] = static_cast<float>(random() % 1000 + 1) * 0.37F;
    const float scale = x[0] / 127.0F;
    for (size_t i = 1; i < x.size(); ++i) {
      const float tie = (static_cast<float>(random() % 127) + 0.5F) * scale;
      const float end = random() % 2 == 0 ? 0.0F : 1e9F;
      x[i] = tie;
      for (auto n = random() % 3; n > 0; --n) x[i] = std::nextafter(x[i], end);
      if (std::abs(x[i]) > x[0]) x[i] = x[0];
    }
    ExpectCodesOfRows(GetParam(), x, 1, 256, 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Isa, TileCodes,
                         ::testing::Values(CpuIsa::kAmx, CpuIsa::kAvx512Fp16, CpuIsa::kAvx512Vnni),
                         [](const auto& test) { return std::string(CpuIsaName(test.param)); });

}  // namespace
}  // namespace tailor
