// SPDX-License-Identifier: Apache-2.0
// Attention in halves against plain loops in double. Tolerance: docs/numerics.md, "attention in
// halves".
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "base/aligned_buffer.h"
#include "engine/cpu/cpu_isa.h"
#include "engine/cpu/kernel_table.h"
#include "engine/cpu/kernels/f16_sum_emulation.h"
#include "engine/cpu/kernels/kernel_test_values.h"
#include "engine/cpu/kernels/tile_test_values.h"

namespace tailor {
namespace {

uint16_t ToHalf(TileType half, float value) {
  if (half == TileType::kF16) return std::bit_cast<uint16_t>(static_cast<_Float16>(value));
  const auto bits = std::bit_cast<uint32_t>(value);
  return static_cast<uint16_t>((bits + 0x7FFFU + (bits >> 16 & 1U)) >> 16);
}

float FromHalf(TileType half, uint16_t bits) {
  const auto* at = reinterpret_cast<const std::byte*>(&bits);
  return half == TileType::kF16 ? FromF16(at) : FromBf16(at);
}

struct Shape {
  int keys, heads, head_dim;
};

// Queries, keys and values of one sequence, side by side as a projection writes them.
struct Projected {
  Projected(TileType half_type, const Shape& shape, float size)
      : half(half_type), width(static_cast<size_t>(shape.heads) * shape.head_dim) {
    for (const float value : Random(3 * width * shape.keys, 4, size)) {
      values.push_back(ToHalf(half, value));
    }
  }
  double At(int row, size_t column) const {
    return FromHalf(half, values[static_cast<size_t>(row) * 3 * width + column]);
  }
  std::vector<double> Row(int row, size_t column, int count) const {
    std::vector<double> numbers(count);
    for (int i = 0; i < count; ++i) numbers[i] = At(row, column + i);
    return numbers;
  }

  TileType half;
  size_t width;
  std::vector<uint16_t> values;  // [keys, 3 * width]
};

class HalfAttention : public ::testing::TestWithParam<CpuIsa> {
 protected:
  void SetUp() override {
    if (!HostHas(GetParam())) GTEST_SKIP() << "this host lacks " << CpuIsaName(GetParam());
  }
  static const KernelSet& kernels() { return KernelsFor(GetParam()); }

  static HalfAttentionArgs Args(const Projected& x, const Shape& shape, int first, int queries,
                                const AlignedBuffer<std::byte>& scratch) {
    const uint16_t* data = x.values.data();
    return {.query = data + static_cast<size_t>(first) * 3 * x.width,
            .key = data + x.width,
            .value = data + 2 * x.width,
            .query_stride = 3 * x.width,
            .key_value_stride = 3 * x.width,
            .num_queries = queries,
            .num_keys = shape.keys,
            .num_heads = shape.heads,
            .head_dim = shape.head_dim,
            .scratch = const_cast<std::byte*>(scratch.data()),
            .context = nullptr,
            .tiles = {}};
  }

  // Exactly as many rows as there are, so that sanitizers see what lies behind them.
  static std::vector<float> Run(const Projected& x, const Shape& shape, int first, int queries) {
    const AlignedBuffer<std::byte> scratch(HalfAttentionScratch(shape.keys, shape.head_dim));
    std::vector<float> context(queries * x.width);
    HalfAttentionArgs args = Args(x, shape, first, queries, scratch);
    args.context = context.data();
    kernels().half_attention(args);
    return context;
  }
};

bool IsSmaller(double a, double b) { return std::abs(a) < std::abs(b); }

// One head of one query: the context in double, and how far the kernel's may be from it.
void ExpectNear(const Projected& x, const Shape& shape, int row, int head, const float* actual,
                double& worst) {
  const size_t query = static_cast<size_t>(head) * shape.head_dim;
  const bool is_f16 = x.half == TileType::kF16;
  std::vector<double> weights(shape.keys);
  double size = 0;  // the most that the terms of a score add up to
  for (int k = 0; k < shape.keys; ++k) {
    const std::vector<double> a = x.Row(row, query, shape.head_dim);
    const std::vector<double> b = x.Row(k, x.width + query, shape.head_dim);
    double terms = 0;
    for (int d = 0; d < shape.head_dim; ++d) {
      weights[k] += a[d] * b[d];
      terms += std::abs(a[d] * b[d]);
    }
    if (is_f16) weights[k] = SumOfProducts(a, b).sum;  // known to the bit
    size = std::max(size, terms);
  }
  const double top = *std::max_element(weights.begin(), weights.end());
  double total = 0;
  for (double& weight : weights) total += weight = std::exp(weight - top);
  // Both scores of a difference; e^x; the weight as a half, which its sum does not see; the sums.
  const double score = is_f16 ? 0 : shape.head_dim * kEpsilon * size;
  const double relative = (is_f16 ? 0x1p-11 : 0x1p-8) + 2 * (2 * score + 1e-4 + 90 * kEpsilon) +
                          2 * shape.keys * kEpsilon;
  for (int d = 0; d < shape.head_dim; ++d) {
    double sum = 0;
    double sizes = 0;
    std::vector<double> values(shape.keys);
    for (int k = 0; k < shape.keys; ++k) {
      values[k] = x.At(k, 2 * x.width + query + d);
      sum += weights[k] * values[k];
      sizes += std::abs(weights[k] * values[k]);
    }
    double bound = relative * sizes / total;
    if (is_f16) {
      // Below 2^-14 the step of an f16 weight is 2^-24. Six deviations of what the roundings of the
      // sums in f16, each at most 2^-11, add up to.
      bound += (0x1p-25 * shape.keys *
                    std::abs(*std::max_element(values.begin(), values.end(), IsSmaller)) +
                6 * 0x1p-11 * std::sqrt(SumOfProducts(weights, values).squares / 3)) /
               total;
    }
    const double difference = std::abs(actual[query + d] - sum / total);
    ASSERT_LE(difference, bound) << "row " << row << ", head " << head << ", dimension " << d;
    worst = std::max(worst, difference / bound);
  }
}

const std::vector<Shape>& Shapes() {
  static const std::vector<Shape> shapes = {{1, 1, 1},   {5, 3, 26},  {16, 2, 32},  {17, 2, 64},
                                            {33, 1, 80}, {70, 2, 16}, {128, 2, 64}, {300, 1, 128}};
  return shapes;
}

TEST_P(HalfAttention, IsTheWeightedMeanOfValues) {
  for (const Shape& shape : Shapes()) {
    for (const float size : {0.5F, 3.0F}) {
      const Projected x(kernels().half, shape, size);
      const std::vector<float> context = Run(x, shape, 0, shape.keys);
      double worst = 0;
      for (int row = 0; row < shape.keys; ++row) {
        for (int head = 0; head < shape.heads; ++head) {
          ExpectNear(x, shape, row, head, context.data() + row * x.width, worst);
        }
      }
      std::printf("  %d keys, %d heads of %d: worst %.2f of the bound\n", shape.keys, shape.heads,
                  shape.head_dim, worst);
    }
  }
}

TEST_P(HalfAttention, QueriesDoNotDependOnEachOther) {
  const Shape shape = {90, 2, 64};
  const Projected x(kernels().half, shape, 1.0F);
  const std::vector<float> together = Run(x, shape, 0, shape.keys);
  for (const int first : {0, 1, 15, 16, 50, 89}) {
    for (const int queries : {1, 2, 16, 17, 40}) {
      if (first + queries > shape.keys) continue;
      const std::vector<float> some = Run(x, shape, first, queries);
      EXPECT_TRUE(std::equal(some.begin(), some.end(), together.begin() + first * x.width))
          << queries << " from " << first;
    }
  }
}

TEST_P(HalfAttention, TilesHoldTheRoundedContext) {
  for (const Shape& shape : {Shape{20, 3, 16}, {37, 2, 64}, {16, 3, 48}}) {
    const Projected x(kernels().half, shape, 1.0F);
    const std::vector<float> context = Run(x, shape, 0, shape.keys);
    const int columns = static_cast<int>(x.width);
    const int first_row = 5;
    AlignedBuffer<std::byte> memory(TileBlockBytes(kernels().half, columns) * 3);
    std::fill_n(memory.data(), memory.size(), std::byte{0xFF});  // NaNs
    const AlignedBuffer<std::byte> scratch(HalfAttentionScratch(shape.keys, shape.head_dim));
    HalfAttentionArgs args = Args(x, shape, 0, shape.keys, scratch);
    args.tiles = {
        .data = memory.data(), .type = kernels().half, .columns = columns, .first_row = first_row};
    kernels().half_attention(args);
    for (int row = 0; row < shape.keys; ++row) {
      for (int c = 0; c < TileSteps(kernels().half, columns) * 32; ++c) {
        const auto* tile = reinterpret_cast<const uint16_t*>(
            args.tiles.Row(row) + static_cast<size_t>(c / 32) * kTileBytes);
        const uint16_t expected =
            c < columns ? ToHalf(kernels().half, context[row * x.width + c]) : uint16_t{0};
        ASSERT_EQ(tile[c % 32], expected) << row << ", " << c;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Isa, HalfAttention, ::testing::Values(CpuIsa::kAmx, CpuIsa::kAvx512Fp16),
                         [](const auto& test) { return std::string(CpuIsaName(test.param)); });

}  // namespace
}  // namespace tailor
