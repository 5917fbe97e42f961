// SPDX-License-Identifier: Apache-2.0
// Attention in bf16 against plain loops in double. Tolerance: docs/numerics.md, "attention in
// bf16".
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <vector>

#include "gtest/gtest.h"

#include "base/aligned_buffer.h"
#include "engine/cpu/cpu_isa.h"
#include "engine/cpu/kernel_table.h"
#include "engine/cpu/kernels/kernel_test_values.h"

namespace tailor {
namespace {

uint16_t ToBf16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  return static_cast<uint16_t>((bits + 0x7FFFU + (bits >> 16 & 1U)) >> 16);
}

float FromBf16(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

struct Shape {
  int keys, heads, head_dim;
};

// Queries, keys and values of one sequence, side by side as a projection writes them.
struct Projected {
  Projected(const Shape& shape, float size)
      : width(static_cast<size_t>(shape.heads) * shape.head_dim) {
    for (const float value : Random(3 * width * shape.keys, 4, size)) {
      values.push_back(ToBf16(value));
    }
  }
  double At(int row, size_t column) const {
    return FromBf16(values[static_cast<size_t>(row) * 3 * width + column]);
  }

  size_t width;
  std::vector<uint16_t> values;  // [keys, 3 * width]
};

class HalfAttention : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!HostHas(CpuIsa::kAmx)) GTEST_SKIP() << "this host lacks amx";
  }

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
    KernelsFor(CpuIsa::kAmx).half_attention(args);
    return context;
  }
};

// One head of one query: the context in double, and how far the kernel's may be from it.
void ExpectNear(const Projected& x, const Shape& shape, int row, int head, const float* actual,
                double& worst) {
  const size_t query = static_cast<size_t>(head) * shape.head_dim;
  std::vector<double> weights(shape.keys);
  double size = 0;  // the most that the terms of a score add up to
  for (int k = 0; k < shape.keys; ++k) {
    double terms = 0;
    for (int d = 0; d < shape.head_dim; ++d) {
      const double term = x.At(row, query + d) * x.At(k, x.width + query + d);
      weights[k] += term;
      terms += std::abs(term);
    }
    size = std::max(size, terms);
  }
  const double top = *std::max_element(weights.begin(), weights.end());
  double total = 0;
  for (double& weight : weights) total += weight = std::exp(weight - top);
  // Both scores of a difference; e^x; the weight as bf16, which its sum does not see; the sums.
  const double score = shape.head_dim * kEpsilon * size;
  const double relative =
      0x1p-8 + 2 * (2 * score + 1e-4 + 90 * kEpsilon) + 2 * shape.keys * kEpsilon;
  for (int d = 0; d < shape.head_dim; ++d) {
    double sum = 0;
    double sizes = 0;
    for (int k = 0; k < shape.keys; ++k) {
      const double term = weights[k] * x.At(k, 2 * x.width + query + d);
      sum += term;
      sizes += std::abs(term);
    }
    const double bound = relative * sizes / total;
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

TEST_F(HalfAttention, IsTheWeightedMeanOfValues) {
  for (const Shape& shape : Shapes()) {
    for (const float size : {0.5F, 3.0F}) {
      const Projected x(shape, size);
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

TEST_F(HalfAttention, QueriesDoNotDependOnEachOther) {
  const Shape shape = {90, 2, 64};
  const Projected x(shape, 1.0F);
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

TEST_F(HalfAttention, TilesHoldTheRoundedContext) {
  for (const Shape& shape : {Shape{20, 3, 16}, {37, 2, 64}, {16, 3, 48}}) {
    const Projected x(shape, 1.0F);
    const std::vector<float> context = Run(x, shape, 0, shape.keys);
    const int columns = static_cast<int>(x.width);
    const int first_row = 5;
    AlignedBuffer<std::byte> memory(TileBlockBytes(TileType::kBf16, columns) * 3);
    std::fill_n(memory.data(), memory.size(), std::byte{0xFF});  // NaNs
    const AlignedBuffer<std::byte> scratch(HalfAttentionScratch(shape.keys, shape.head_dim));
    HalfAttentionArgs args = Args(x, shape, 0, shape.keys, scratch);
    args.tiles = {
        .data = memory.data(), .type = TileType::kBf16, .columns = columns, .first_row = first_row};
    KernelsFor(CpuIsa::kAmx).half_attention(args);
    for (int row = 0; row < shape.keys; ++row) {
      for (int c = 0; c < TileSteps(TileType::kBf16, columns) * 32; ++c) {
        const auto* tile = reinterpret_cast<const uint16_t*>(
            args.tiles.Row(row) + static_cast<size_t>(c / 32) * kTileBytes);
        const uint16_t expected = c < columns ? ToBf16(context[row * x.width + c]) : uint16_t{0};
        ASSERT_EQ(tile[c % 32], expected) << row << ", " << c;
      }
    }
  }
}

}  // namespace
}  // namespace tailor
