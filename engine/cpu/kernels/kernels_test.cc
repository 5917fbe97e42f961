// SPDX-License-Identifier: Apache-2.0
// Every kernel of every instruction set that this host has, against the formula in double. The
// tolerances are derived in docs/numerics.md.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "base/aligned_buffer.h"
#include "engine/cpu/cpu_isa.h"
#include "engine/cpu/kernel_table.h"
#include "engine/cpu/kernels/kernel_test_values.h"

namespace tailor {
namespace {

class Kernels : public ::testing::TestWithParam<CpuIsa> {
 protected:
  void SetUp() override {
    if (!HostHas(GetParam())) GTEST_SKIP() << "this host lacks " << CpuIsaName(GetParam());
  }
  const KernelSet& kernels() const { return KernelsFor(GetParam()); }
};

// The worst of |actual - expected|, printed; `bound` covers it.
void ExpectClose(const std::vector<double>& expected, const float* actual, double bound,
                 const std::string& what) {
  double worst = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_TRUE(std::isfinite(actual[i])) << what << " element " << i;
    worst = std::max(worst, std::abs(expected[i] - actual[i]));
  }
  std::printf("  %-40s worst %.2e of %.2e\n", what.c_str(), worst, bound);
  EXPECT_LE(worst, bound) << what;
}

std::vector<double> Normalized(const std::vector<double>& rows, int hidden,
                               const std::vector<float>& gamma, const std::vector<float>& beta,
                               double eps) {
  std::vector<double> out(rows.size());
  for (size_t start = 0; start < rows.size(); start += hidden) {
    double mean = 0;
    double variance = 0;
    for (int i = 0; i < hidden; ++i) mean += rows[start + i] / hidden;
    for (int i = 0; i < hidden; ++i) {
      variance += (rows[start + i] - mean) * (rows[start + i] - mean) / hidden;
    }
    for (int i = 0; i < hidden; ++i) {
      out[start + i] = (rows[start + i] - mean) / std::sqrt(variance + eps) * gamma[i] + beta[i];
    }
  }
  return out;
}

// Inputs are below 4, outputs below 8: a sum of n numbers loses at most n epsilons in sequence,
// here n / 64 for the partial sums, and every later operation one more.
double LayerNormBound(int hidden) { return (hidden / 64.0 + 12) * 8 * kEpsilon; }

TEST_P(Kernels, BiasResidualLayerNorm) {
  for (const int hidden : {1, 3, 16, 33, 64, 100, 128, 384, 768}) {
    const int rows = 5;
    const size_t size = static_cast<size_t>(rows) * hidden;
    const std::vector<float> x = Random(size, 1);
    const std::vector<float> bias = Random(hidden, 2);
    const std::vector<float> residual = Random(size, 3, 2);
    const std::vector<float> gamma = Random(hidden, 4);
    const std::vector<float> beta = Random(hidden, 5);
    std::vector<double> sums(size);
    for (size_t i = 0; i < size; ++i) {
      sums[i] = static_cast<double>(x[i]) + bias[i % hidden] + residual[i];
    }
    std::vector<float> out = residual;  // in place, as the forward pass uses it
    out.push_back(kGuard);
    // One element has no variance: eps decides, and must not be 0.
    const float eps = hidden == 1 ? 1.0F : 1e-12F;
    kernels().bias_residual_layer_norm({.x = x.data(),
                                        .bias = bias.data(),
                                        .residual = out.data(),
                                        .gamma = gamma.data(),
                                        .beta = beta.data(),
                                        .eps = eps,
                                        .rows = rows,
                                        .hidden = hidden,
                                        .out = out.data(),
                                        .tiles = {}});
    const std::vector<double> expected = Normalized(sums, hidden, gamma, beta, eps);
    const std::string what = "layer norm " + std::to_string(hidden);
    ExpectClose(expected, out.data(), LayerNormBound(hidden) * (hidden < 16 ? 16 : 1), what);
    EXPECT_EQ(out.back(), kGuard);
  }
}

TEST_P(Kernels, EmbedLayerNorm) {
  for (const bool has_types : {true, false}) {
    for (const int hidden : {20, 64, 384}) {
      const std::vector<int32_t> ids = {3, 0, 9};
      const std::vector<int32_t> types = {0, 1, 1};
      const int first_position = 4;
      const std::vector<float> words = Random(10 * hidden, 1, 2);
      const std::vector<float> positions = Random(8 * hidden, 2);
      const std::vector<float> type_table = Random(2 * hidden, 3);
      const std::vector<float> gamma = Random(hidden, 4);
      const std::vector<float> beta = Random(hidden, 5);
      std::vector<double> sums(ids.size() * hidden);
      for (size_t i = 0; i < sums.size(); ++i) {
        const size_t row = i / hidden;
        const size_t column = i % hidden;
        sums[i] = static_cast<double>(words[ids[row] * hidden + column]) +
                  positions[(first_position + row) * hidden + column] +
                  (has_types ? type_table[types[row] * hidden + column] : 0.0F);
      }
      std::vector<float> out(sums.size() + 1, kGuard);
      kernels().embed_layer_norm({.token_ids = ids.data(),
                                  .type_ids = types.data(),
                                  .first_position = first_position,
                                  .word_table = words.data(),
                                  .position_table = positions.data(),
                                  .type_table = has_types ? type_table.data() : nullptr,
                                  .gamma = gamma.data(),
                                  .beta = beta.data(),
                                  .eps = 1e-12F,
                                  .rows = static_cast<int>(ids.size()),
                                  .hidden = hidden,
                                  .out = out.data(),
                                  .tiles = {}});
      const std::vector<double> expected = Normalized(sums, hidden, gamma, beta, 1e-12);
      const std::string what = "embedding " + std::to_string(hidden);
      ExpectClose(expected, out.data(), LayerNormBound(hidden), what);
      EXPECT_EQ(out.back(), kGuard);
    }
  }
}

// Dense over [-12, 12], which is beyond every clamp, and at the ends of f32's range.
TEST_P(Kernels, BiasActivation) {
  for (const KernelActivation activation :
       {KernelActivation::kGeluErf, KernelActivation::kGeluTanh, KernelActivation::kRelu,
        KernelActivation::kTanh, KernelActivation::kTanhRelu}) {
    const int rows = 400;
    const int columns = 203;
    const std::vector<float> bias = Random(columns, 1, 0.5);
    std::vector<float> x(static_cast<size_t>(rows) * columns);
    for (size_t i = 0; i < x.size(); ++i) {
      x[i] = static_cast<float>(24.0 * static_cast<double>(i) / static_cast<double>(x.size()) - 12);
    }
    x[0] = -3e38F;
    x[1] = 3e38F;
    x[2] = 0;
    double bound = 0;
    double worst = 0;
    std::vector<float> out(x.size() + 1, kGuard);
    kernels().bias_activation({.x = x.data(),
                               .bias = bias.data(),
                               .activation = activation,
                               .rows = rows,
                               .columns = columns,
                               .out = out.data()});
    EXPECT_EQ(out.back(), kGuard);
    for (size_t i = 0; i < x.size(); ++i) {
      const double input = x[i] + bias[i % columns];
      const double expected = Activated(activation, input);
      // 1e-6 of erf or tanh, times x/2 in a gelu, and the rounding of the result.
      const double allowed =
          1e-6 * std::max(1.0, std::abs(input) / 2) + std::abs(expected) * 4 * kEpsilon;
      const double difference = std::abs(out[i] - expected);
      ASSERT_LE(difference, allowed) << "activation " << static_cast<int>(activation) << " of "
                                     << input << ": expected " << expected << ", got " << out[i];
      if (std::abs(input) < 100 && difference > worst) {
        worst = difference;
        bound = allowed;
      }
    }
    std::printf("  activation %d: worst %.2e of %.2e\n", static_cast<int>(activation), worst,
                bound);
  }
}

struct AttentionCase {
  int queries, keys, heads, head_dim;
};

void CheckAttention(const KernelSet& kernels, const AttentionCase& c) {
  const size_t width = static_cast<size_t>(c.heads) * c.head_dim;
  const size_t stride = 3 * width;  // as the projection lays them out
  const std::vector<float> query = Random(c.queries * stride, 1, 2);
  const std::vector<float> keys = Random(c.keys * stride, 2, 2);
  const float* values = keys.data() + width;
  std::vector<double> expected(c.queries * width);
  std::vector<double> p(c.keys);
  for (int h = 0; h < c.heads; ++h) {
    for (int q = 0; q < c.queries; ++q) {
      for (int k = 0; k < c.keys; ++k) {
        p[k] = 0;
        for (int d = h * c.head_dim; d < (h + 1) * c.head_dim; ++d) {
          p[k] += static_cast<double>(query[q * stride + d]) * keys[k * stride + d];
        }
      }
      const double top = *std::max_element(p.begin(), p.end());
      double total = 0;
      for (double& value : p) total += value = std::exp(value - top);
      for (int d = h * c.head_dim; d < (h + 1) * c.head_dim; ++d) {
        for (int k = 0; k < c.keys; ++k) {
          expected[q * width + d] += p[k] / total * values[k * stride + d];
        }
      }
    }
  }
  AlignedBuffer<float> scratch(AttentionScratch(c.keys, c.head_dim));
  AttentionArgs args = {.query = query.data(),
                        .key = keys.data(),
                        .value = values,
                        .query_stride = stride,
                        .key_value_stride = stride,
                        .num_queries = c.queries,
                        .num_keys = c.keys,
                        .num_heads = c.heads,
                        .head_dim = c.head_dim,
                        .scratch = scratch.data(),
                        .context = nullptr};
  const std::string what = "attention " + std::to_string(c.queries) + "x" + std::to_string(c.keys) +
                           " heads " + std::to_string(c.heads) + "x" + std::to_string(c.head_dim);
  // A score is a sum of head_dim products below 4, whose error the exponential passes on in full;
  // e^x itself is within 3e-6; the weighted values are below 2 and their weights sum to 1.
  const double score_error = c.head_dim * 4 * kEpsilon * std::sqrt(c.head_dim);
  const double bound = 2 * (2 * score_error + 3e-6) + c.keys * kEpsilon;
  std::vector<float> context(expected.size() + 1, kGuard);
  args.context = context.data();
  kernels.attention(args);
  ExpectClose(expected, context.data(), bound, what);
  EXPECT_EQ(context.back(), kGuard);
}

TEST_P(Kernels, Attention) {
  for (const AttentionCase& c : {AttentionCase{1, 1, 1, 1},
                                 {1, 40, 2, 26},
                                 {7, 7, 3, 32},
                                 {12, 16, 1, 64},
                                 {65, 65, 2, 64},
                                 {128, 128, 12, 32},
                                 {33, 127, 2, 128},
                                 {5, 512, 2, 64},
                                 {9, 100, 1, 80},
                                 {6, 31, 5, 12}}) {
    CheckAttention(kernels(), c);
  }
}

// Scores far apart: the smaller ones vanish instead of overflowing.
TEST_P(Kernels, AttentionOfExtremeScores) {
  const std::vector<float> query = {1000.0F};
  const std::vector<float> key_value = {1.0F, 5.0F, -1.0F, 7.0F, 0.5F, 9.0F};  // key, value, ...
  AlignedBuffer<float> scratch(AttentionScratch(3, 1));
  float context = 0;
  kernels().attention({.query = query.data(),
                       .key = key_value.data(),
                       .value = key_value.data() + 1,
                       .query_stride = 1,
                       .key_value_stride = 2,
                       .num_queries = 1,
                       .num_keys = 3,
                       .num_heads = 1,
                       .head_dim = 1,
                       .scratch = scratch.data(),
                       .context = &context});
  EXPECT_FLOAT_EQ(context, 5.0F);
}

INSTANTIATE_TEST_SUITE_P(Isa, Kernels,
                         ::testing::Values(CpuIsa::kPortable, CpuIsa::kAvx2, CpuIsa::kAvx512Vnni,
                                           CpuIsa::kAvx512Fp16, CpuIsa::kAmx),
                         [](const auto& test) { return std::string(CpuIsaName(test.param)); });

}  // namespace
}  // namespace tailor
