// SPDX-License-Identifier: Apache-2.0
// Products of tiles against plain loops. Tolerances: docs/numerics.md.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "engine/cpu/cpu_isa.h"
#include "engine/cpu/kernel_table.h"
#include "engine/cpu/kernels/f16_sum_emulation.h"
#include "engine/cpu/kernels/kernel_test_values.h"
#include "engine/cpu/kernels/tile_test_values.h"
#include "engine/cpu/tile_packing.h"

namespace tailor {
namespace {

struct Case {
  int rows, out, in;
};

// Columns that a product in f16 does for all rows before the next ones.
constexpr int kF16PartColumns = 512;

// What a product must give, in double, and how far a sum in f32 may be from it.
struct Expected {
  std::vector<double> values;  // [rows, out]
  std::vector<double> bounds;
};

struct Kind {
  CpuIsa isa;
  TileType type;
};

class TileProduct : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    if (!HostHas(GetParam().isa)) GTEST_SKIP() << "this host lacks " << CpuIsaName(GetParam().isa);
  }
  static const KernelSet& kernels() { return KernelsFor(GetParam().isa); }

  struct Weights {
    std::vector<float> floats;
    std::vector<int8_t> codes;
    TilePanels packed;
    std::vector<int32_t> first_sums;  // of codes
    std::vector<float> scale, bias;   // padded
  };

  static Weights MakeWeights(TileType type, int out, int in) {
    Weights w = {.floats = Random(static_cast<size_t>(out) * in, 7),
                 .codes = {},
                 .packed = {},
                 .first_sums = {},
                 .scale = Random(PaddedOutputs(out), 8, 0.01F),
                 .bias = Random(PaddedOutputs(out), 9)};
    if (type == TileType::kInt8) {
      for (float& value : w.floats) {
        w.codes.push_back(static_cast<int8_t>(std::lround(value * 127)));
        value = w.codes.back();
      }
      w.packed = PackCodes(w.codes, out, in);
      w.first_sums = FirstSums(w.packed, out, in, kernels().code_offset);
    } else {
      w.packed = PackFloats(type, w.floats, out, in);
      for (float& value : w.floats) {
        if (type == TileType::kBf16) value = RoundToBf16(value);
        if (type == TileType::kF16) value = RoundToF16(value);
      }
    }
    return w;
  }

  static TileProductArgs Args(const Tiles& x, const Weights& w, int rows, int out, float* y) {
    return {.x = x.tiles(),
            .weight = w.packed.data.data(),
            .panel_bytes = w.packed.panel_bytes(),
            .first_column = 0,
            .columns = 0,
            .adds = false,
            .rows = rows,
            .out = out,
            .first_sums = w.first_sums.data(),
            .column_scale = w.scale.data(),
            .bias = w.bias.data(),
            .activates = false,
            .activation = KernelActivation::kRelu,
            .y = y,
            .y_stride = static_cast<size_t>(out) + 1,
            .y_tiles = {}};
  }

  // Before any activation. x holds what the product reads; of kSplitBf16 the exact values are
  // those of `exact`.
  static Expected Expect(const Tiles& x, const std::vector<float>& exact, const Weights& w,
                         const Case& c) {
    Expected expected;
    const TileType type = x.tiles().type;
    for (int r = 0; r < c.rows; ++r) {
      for (int o = 0; o < c.out; ++o) {
        double sum = 0;
        double size = 0;
        std::vector<double> values(c.in);
        for (int i = 0; i < c.in; ++i) {
          values[i] = type == TileType::kSplitBf16 ? exact[r * c.in + i] : x.Value(r, i);
          const double term = values[i] * w.floats[o * c.in + i];
          sum += term;
          size += std::abs(term);
        }
        if (type == TileType::kF16) {
          const std::span<const float> row = std::span(w.floats).subspan(o * c.in, c.in);
          const F16Sum emulated =
              SumOfProducts(values, std::vector<double>(row.begin(), row.end()));
          // More columns are done in parts, whose chunks begin anew: other sums, but no more of
          // them. Six deviations of what their roundings, each at most 2^-11, add up to.
          const double chunks =
              c.in <= kF16PartColumns ? 0 : 6 * 0x1p-11 * std::sqrt(emulated.squares / 3);
          expected.values.push_back(emulated.sum + w.bias[o]);
          expected.bounds.push_back(chunks + (size + std::abs(sum + w.bias[o])) * kEpsilon);
        } else if (type == TileType::kInt8) {
          const double scaled = sum * x.scale(r) * w.scale[o];
          expected.values.push_back(scaled + w.bias[o]);
          expected.bounds.push_back(kEpsilon *
                                    (3 * std::abs(scaled) + std::abs(scaled + w.bias[o])));
        } else {
          // A rounding for each addition; what the split leaves out of each product.
          const double left_out = type == TileType::kSplitBf16 ? 3 * 0x1p-18 : 0;
          const int additions = c.in * (type == TileType::kSplitBf16 ? 3 : 1) + 1;
          expected.values.push_back(sum + w.bias[o]);
          expected.bounds.push_back(size * (additions * kEpsilon + left_out) +
                                    std::abs(sum + w.bias[o]) * kEpsilon);
        }
      }
    }
    return expected;
  }
};

const std::vector<Case>& Cases() {
  static const std::vector<Case> cases = {{1, 1, 1},     {5, 7, 26},    {16, 32, 64},
                                          {17, 33, 65},  {31, 64, 60},  {33, 48, 128},
                                          {64, 96, 384}, {70, 40, 2100}};
  return cases;
}

TEST_P(TileProduct, IsTheProduct) {
  for (const Case& c : Cases()) {
    const Weights w = MakeWeights(GetParam().type, c.out, c.in);
    const std::vector<float> x = Random(static_cast<size_t>(c.rows) * c.in, 5, 2);
    const Tiles tiles(kernels(), GetParam().type, c.rows, c.in, 16);
    tiles.Store(x, c.rows);
    std::vector<float> y(static_cast<size_t>(c.rows) * (c.out + 1), kGuard);
    kernels().tile_product(Args(tiles, w, c.rows, c.out, y.data()));
    const Expected expected = Expect(tiles, x, w, c);
    double worst = 0;
    for (int r = 0; r < c.rows; ++r) {
      EXPECT_EQ(y[r * (c.out + 1) + c.out], kGuard);
      for (int o = 0; o < c.out; ++o) {
        const double difference = std::abs(y[r * (c.out + 1) + o] - expected.values[r * c.out + o]);
        const double bound = expected.bounds[r * c.out + o];
        ASSERT_LE(difference, bound)
            << r << ", " << o << " of " << c.rows << "x" << c.out << "x" << c.in;
        worst = std::max(worst, difference / bound);
      }
    }
    std::printf("  %dx%dx%d: worst %.2f of the bound\n", c.rows, c.out, c.in, worst);
  }
}

TEST_P(TileProduct, Activates) {
  for (const KernelActivation activation :
       {KernelActivation::kGeluErf, KernelActivation::kGeluTanh, KernelActivation::kRelu}) {
    for (const Case& c : Cases()) {
      const Weights w = MakeWeights(GetParam().type, c.out, c.in);
      const std::vector<float> x = Random(static_cast<size_t>(c.rows) * c.in, 5, 0.2F);
      const Tiles tiles(kernels(), GetParam().type, c.rows, c.in);
      tiles.Store(x, c.rows);
      const Expected expected = Expect(tiles, x, w, c);
      std::vector<float> y(static_cast<size_t>(c.rows) * (c.out + 1), kGuard);
      const Tiles y_tiles(kernels(), GetParam().type, c.rows, c.out, 16);
      TileProductArgs args = Args(tiles, w, c.rows, c.out, y.data());
      args.activates = true;
      args.activation = activation;
      const bool gives_tiles = GetParam().type != TileType::kInt8;
      if (gives_tiles) args.y_tiles = y_tiles.tiles();
      kernels().tile_product(args);
      for (int r = 0; r < c.rows; ++r) {
        for (int o = 0; o < c.out; ++o) {
          const double input = expected.values[r * c.out + o];
          const double result = Activated(activation, input);
          // No activation grows a difference by more than 1.13; its own error and rounding.
          double bound = 1.13 * expected.bounds[r * c.out + o] +
                         1e-6 * std::max(1.0, std::abs(input) / 2) +
                         4 * kEpsilon * std::abs(result);
          if (GetParam().type == TileType::kBf16) bound += 0x1p-8 * std::abs(result);
          if (GetParam().type == TileType::kF16) bound += 0x1p-11 * std::abs(result);
          if (GetParam().type == TileType::kSplitBf16) bound += 0x1p-16 * std::abs(result);
          const double actual = gives_tiles ? y_tiles.Value(r, o) : y[r * (c.out + 1) + o];
          ASSERT_NEAR(actual, result, bound) << r << ", " << o;
        }
      }
    }
  }
}

class TileFloatProduct : public TileProduct {};

// Columns a range at a time: the sum of what each gives.
TEST_P(TileFloatProduct, AddsRangesOfColumns) {
  const Case c = {37, 50, 200};
  const Weights w = MakeWeights(GetParam().type, c.out, c.in);
  const std::vector<float> x = Random(static_cast<size_t>(c.rows) * c.in, 5, 2);
  const Tiles tiles(kernels(), GetParam().type, c.rows, c.in);
  tiles.Store(x, c.rows);
  std::vector<float> y(static_cast<size_t>(c.rows) * (c.out + 1), kGuard);
  TileProductArgs args = Args(tiles, w, c.rows, c.out, y.data());
  args.columns = 128;  // a chunk of f16 sums
  kernels().tile_product(args);
  args.adds = true;
  args.first_column = 128;
  args.columns = c.in - 128;
  kernels().tile_product(args);
  const Expected expected = Expect(tiles, x, w, c);
  for (int r = 0; r < c.rows; ++r) {
    EXPECT_EQ(y[r * (c.out + 1) + c.out], kGuard);
    for (int o = 0; o < c.out; ++o) {
      ASSERT_NEAR(y[r * (c.out + 1) + o], expected.values[r * c.out + o],
                  1.1 * expected.bounds[r * c.out + o])
          << r << ", " << o;
    }
  }
}

// Whatever other rows the call has, in whichever place.
TEST_P(TileProduct, RowsDoNotDependOnEachOther) {
  const Case c = {80, 70, 1300};  // several parts of the columns
  const Weights w = MakeWeights(GetParam().type, c.out, c.in);
  const std::vector<float> x = Random(static_cast<size_t>(c.rows) * c.in, 5, 2);
  const Tiles all(kernels(), GetParam().type, c.rows, c.in);
  all.Store(x, c.rows);
  const size_t stride = c.out + 1;
  std::vector<float> together(c.rows * stride);
  kernels().tile_product(Args(all, w, c.rows, c.out, together.data()));
  for (const int first : {0, 1, 15, 40, 79}) {
    for (const int rows : {1, 2, 16, 17, 33}) {
      if (first + rows > c.rows) continue;
      const Tiles some(kernels(), GetParam().type, rows, c.in);
      some.Store({x.begin() + first * c.in, x.end()}, rows);
      std::vector<float> y(rows * stride);
      kernels().tile_product(Args(some, w, rows, c.out, y.data()));
      for (int r = 0; r < rows; ++r) {
        ASSERT_TRUE(std::equal(y.begin() + r * stride, y.begin() + r * stride + c.out,
                               together.begin() + (first + r) * stride))
            << "row " << first + r << " among " << rows;
      }
    }
  }
}

// A matrix that is part of a wider one: its panels hold weights behind the last input.
TEST_P(TileProduct, ReadsTheFirstInputsOfWiderRows) {
  const int rows = 9;
  const int out = 40;
  const int in = 70;
  Weights w = MakeWeights(GetParam().type, 90, 300);
  const std::vector<float> wide = std::exchange(w.floats, {});
  for (int o = 0; o < out; ++o) {
    const auto row = wide.begin() + static_cast<int64_t>(o) * 300;
    w.floats.insert(w.floats.end(), row, row + in);
  }
  if (GetParam().type == TileType::kInt8) {
    w.first_sums = FirstSums(w.packed, out, in, kernels().code_offset);
  }
  const std::vector<float> x = Random(static_cast<size_t>(rows) * in, 5, 2);
  const Tiles tiles(kernels(), GetParam().type, rows, in);
  tiles.Store(x, rows);
  std::vector<float> y(static_cast<size_t>(rows) * (out + 1));
  kernels().tile_product(Args(tiles, w, rows, out, y.data()));
  const Expected expected = Expect(tiles, x, w, {rows, out, in});
  for (int r = 0; r < rows; ++r) {
    for (int o = 0; o < out; ++o) {
      ASSERT_NEAR(y[r * (out + 1) + o], expected.values[r * out + o], expected.bounds[r * out + o]);
    }
  }
}

// Codes of +-127 everywhere, which would saturate sums of 16 bits: to the bit.
class TileCodeProduct : public TileProduct {};

TEST_P(TileCodeProduct, SumsAreThoseOfIntegers) {
  for (const Case& c : {Case{1, 1, 1}, Case{13, 37, 129}, Case{16, 64, 1040}, Case{23, 33, 3072}}) {
    std::mt19937 random(11);
    Weights w = MakeWeights(TileType::kInt8, c.out, c.in);
    // Sums stay below 2^24, where f32 is exact.
    const auto code = [&] { return static_cast<int8_t>(random() % 8 == 0 ? -127 : 127); };
    const int last = std::min(c.in, 1040);
    std::vector<float> x(static_cast<size_t>(c.rows) * c.in);
    for (int i = 0; i < c.out * c.in; ++i) w.codes[i] = i % c.in < last ? code() : int8_t{0};
    for (float& value : x) value = code();
    w.packed = PackCodes(w.codes, c.out, c.in);
    w.first_sums = FirstSums(w.packed, c.out, c.in, kernels().code_offset);
    std::fill(w.scale.begin(), w.scale.end(), 1.0F);
    std::fill(w.bias.begin(), w.bias.end(), 0.0F);
    const Tiles tiles(kernels(), TileType::kInt8, c.rows, c.in);
    tiles.Store(x, c.rows);  // a largest value of 127 makes the scale 1
    std::vector<float> y(static_cast<size_t>(c.rows) * (c.out + 1), kGuard);
    kernels().tile_product(Args(tiles, w, c.rows, c.out, y.data()));
    for (int r = 0; r < c.rows; ++r) {
      EXPECT_EQ(y[r * (c.out + 1) + c.out], kGuard);
      for (int o = 0; o < c.out; ++o) {
        int32_t sum = 0;
        for (int i = 0; i < c.in; ++i) {
          sum += static_cast<int>(x[r * c.in + i]) * w.codes[o * c.in + i];
        }
        ASSERT_EQ(y[r * (c.out + 1) + o], static_cast<float>(sum)) << r << ", " << o;
      }
    }
  }
}

std::string KindName(const ::testing::TestParamInfo<Kind>& test) {
  const TileType type = test.param.type;
  return absl::StrCat(CpuIsaName(test.param.isa), "_",
                      type == TileType::kInt8   ? "int8"
                      : type == TileType::kF16  ? "f16"
                      : type == TileType::kBf16 ? "bf16"
                                                : "bf16x3");
}

constexpr Kind kFloats[] = {{CpuIsa::kAmx, TileType::kBf16},
                            {CpuIsa::kAmx, TileType::kSplitBf16},
                            {CpuIsa::kAvx512Fp16, TileType::kF16}};
constexpr Kind kCodes[] = {{CpuIsa::kAmx, TileType::kInt8},
                           {CpuIsa::kAvx512Fp16, TileType::kInt8},
                           {CpuIsa::kAvx512Vnni, TileType::kInt8}};

INSTANTIATE_TEST_SUITE_P(Floats, TileProduct, ::testing::ValuesIn(kFloats), KindName);
INSTANTIATE_TEST_SUITE_P(Codes, TileProduct, ::testing::ValuesIn(kCodes), KindName);
INSTANTIATE_TEST_SUITE_P(Floats, TileFloatProduct, ::testing::ValuesIn(kFloats), KindName);
INSTANTIATE_TEST_SUITE_P(Codes, TileCodeProduct, ::testing::ValuesIn(kCodes), KindName);

}  // namespace
}  // namespace tailor
