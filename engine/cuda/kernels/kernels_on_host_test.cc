// SPDX-License-Identifier: Apache-2.0
// Every kernel of the GPU engine, run thread by thread on the host, against the formula in double.
// The tolerances are derived in docs/numerics.md.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "engine/tensor/tensor_view.h"
#include "tests/testing/cuda_on_host/host_cuda.h"

namespace tailor::cuda {
namespace {

constexpr double kEpsilon = 0x1p-24;  // half an ulp of f32 at 1

// Half an ulp of the element at 1.
double RoundingOf(Element element) {
  switch (element) {
    case Element::kF32:
      return kEpsilon;
    case Element::kF16:
      return 0x1p-11;
    case Element::kBf16:
      return 0x1p-8;
  }
  return 0;
}

uint16_t BitsOf(float value, Element element) {
  return element == Element::kF16 ? F16Bits(value) : Bf16Bits(value);
}

// A matrix in the memory of the host's stand-in, and what its numbers are after rounding.
class Matrix {
 public:
  Matrix(std::vector<float> values, Element element) : element_(element) {
    bytes_.resize(values.size() * ByteSize(element));
    for (size_t i = 0; i < values.size(); ++i) {
      if (element == Element::kF32) {
        std::memcpy(bytes_.data() + i * sizeof(float), &values[i], sizeof(float));
      } else {
        const uint16_t bits = BitsOf(values[i], element);
        std::memcpy(bytes_.data() + i * sizeof(bits), &bits, sizeof(bits));
      }
    }
  }
  void* data() { return bytes_.data(); }
  std::vector<float> values() const {
    const DType dtype = element_ == Element::kF32   ? DType::kF32
                        : element_ == Element::kF16 ? DType::kF16
                                                    : DType::kBf16;
    const auto count = static_cast<int64_t>(bytes_.size() / ByteSize(element_));
    return ToF32({.data = bytes_.data(), .dtype = dtype, .shape = {count}, .row_stride = 0});
  }

 private:
  const Element element_;
  std::vector<std::byte> bytes_;
};

std::vector<float> Random(size_t size, uint32_t seed, float scale = 1) {
  std::mt19937 random(seed);
  std::vector<float> values(size);
  for (float& v : values) v = scale * (static_cast<float>(random()) * 0x1p-31F - 1.0F);
  return values;
}

class CudaKernels : public ::testing::TestWithParam<Element> {
 protected:
  Element element() const { return GetParam(); }

  void Launch(const KernelCall& call) {
    ASSERT_EQ(api_->Launch(call), Error::kSuccess);
    ASSERT_TRUE(gpu_.kernel_status.ok()) << gpu_.kernel_status;
  }

  // bound(i): of element i before it is rounded.
  void ExpectClose(const std::vector<double>& expected, const std::vector<float>& actual,
                   Element stored, const std::function<double(size_t)>& bound,
                   const std::string& what) {
    ASSERT_EQ(expected.size(), actual.size()) << what;
    double worst = 0;
    for (size_t i = 0; i < expected.size(); ++i) {
      const double all = bound(i) + RoundingOf(stored) * std::abs(expected[i]) + 0x1p-25;
      worst = std::max(worst, std::abs(expected[i] - actual[i]) / all);
      ASSERT_LE(std::abs(expected[i] - actual[i]), all) << what << " element " << i;
    }
    std::printf("  %-40s worst %.2f of the bound\n", what.c_str(), worst);
  }

 private:
  testing::HostGpu gpu_;
  std::unique_ptr<Api> api_ = testing::MakeHostCuda(&gpu_);
};

std::vector<double> Normalized(const std::vector<double>& rows, size_t columns,
                               const std::vector<float>& gamma, const std::vector<float>& beta,
                               double epsilon) {
  std::vector<double> out(rows.size());
  for (size_t start = 0; start < rows.size(); start += columns) {
    double mean = 0;
    double variance = 0;
    for (size_t i = 0; i < columns; ++i) mean += rows[start + i] / static_cast<double>(columns);
    for (size_t i = 0; i < columns; ++i) {
      variance += std::pow(rows[start + i] - mean, 2) / static_cast<double>(columns);
    }
    for (size_t i = 0; i < columns; ++i) {
      out[start + i] =
          (rows[start + i] - mean) / std::sqrt(variance + epsilon) * gamma[i] + beta[i];
    }
  }
  return out;
}

// Outputs are below 8: a sum of n numbers by 32 lanes loses n / 32 + 5 roundings, and each later
// operation one more.
double NormBound(size_t columns) {
  return (static_cast<double>(columns) / 32 + 5 + 12) * 8 * kEpsilon;
}

class CudaLayerNorms : public CudaKernels {
 protected:
  // What the next sum reads, and what products read.
  void ExpectBoth(const std::vector<double>& expected, size_t columns,
                  const std::vector<float>& residual, const Matrix& hidden) {
    const auto bound = [=](size_t) { return NormBound(columns); };
    ExpectClose(expected, residual, Element::kF32, bound, "residual " + std::to_string(columns));
    ExpectClose(expected, hidden.values(), element(), bound, "hidden");
  }
};

TEST_P(CudaLayerNorms, Embed) {
  for (const size_t columns : {1, 31, 60, 384, 768}) {
    for (const bool has_kinds : {true, false}) {
      const std::vector<int32_t> ids = {4, 0, 9, 9, 3, 7, 1};
      const std::vector<int32_t> positions = {0, 1, 2, 0, 1, 2, 3};
      const std::vector<int32_t> types = {0, 0, 1, 0, 1, 1, 1};
      const auto words = Random(10 * columns, 1, 2);
      const auto places = Random(4 * columns, 2);
      const auto kinds = Random(2 * columns, 3);
      const auto gamma = Random(columns, 4);
      const auto beta = Random(columns, 5);
      std::vector<double> sums;
      for (size_t t = 0; t < ids.size(); ++t) {
        for (size_t i = 0; i < columns; ++i) {
          double sum = words[static_cast<size_t>(ids[t]) * columns + i];
          sum += places[static_cast<size_t>(positions[t]) * columns + i];
          if (has_kinds) sum += kinds[static_cast<size_t>(types[t]) * columns + i];
          sums.push_back(sum);
        }
      }
      std::vector<float> residual(sums.size());
      Matrix hidden(residual, element());
      Launch(EmbedLayerNorm{.element = element(),
                            .rows = static_cast<int>(ids.size()),
                            .columns = static_cast<int>(columns),
                            .ids = ids.data(),
                            .positions = positions.data(),
                            .types = has_kinds ? types.data() : nullptr,
                            .words = words.data(),
                            .places = places.data(),
                            .kinds = has_kinds ? kinds.data() : nullptr,
                            .gamma = gamma.data(),
                            .beta = beta.data(),
                            .epsilon = 1e-2F,
                            .residual = residual.data(),
                            .hidden = hidden.data()});
      ExpectBoth(Normalized(sums, columns, gamma, beta, 1e-2F), columns, residual, hidden);
    }
  }
}

TEST_P(CudaLayerNorms, Residual) {
  for (const size_t columns : {1, 33, 77, 768, 1024}) {
    for (const bool has_product : {true, false}) {
      const size_t rows = 9;
      auto residual = Random(rows * columns, 1, 2);
      Matrix product(Random(rows * columns, 2, 2), element());
      const auto bias = Random(columns, 3);
      const auto gamma = Random(columns, 4);
      const auto beta = Random(columns, 5);
      const auto rounded = product.values();
      std::vector<double> sums;
      for (size_t i = 0; i < residual.size(); ++i) {
        sums.push_back(static_cast<double>(residual[i]) + bias[i % columns] +
                       (has_product ? rounded[i] : 0));
      }
      Matrix hidden(std::vector<float>(residual.size()), element());
      Launch(ResidualLayerNorm{.element = element(),
                               .rows = static_cast<int>(rows),
                               .columns = static_cast<int>(columns),
                               .product = has_product ? product.data() : nullptr,
                               .bias = bias.data(),
                               .gamma = gamma.data(),
                               .beta = beta.data(),
                               .epsilon = 1e-2F,
                               .residual = residual.data(),
                               .hidden = hidden.data()});
      ExpectBoth(Normalized(sums, columns, gamma, beta, 1e-2F), columns, residual, hidden);
    }
  }
}

double Activated(Activation activation, double x) {
  switch (activation) {
    case Activation::kNone:
      return x;
    case Activation::kGeluErf:
      return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    case Activation::kGeluTanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Activation::kRelu:
      return std::max(x, 0.0);
    case Activation::kTanh:
      return std::tanh(x);
    case Activation::kTanhRelu:
      return std::max(std::tanh(x), 0.0);
  }
  return x;
}

// More columns than a block has, and fewer. The argument of the function is rounded three times,
// the result about as often; slopes are at most 1.13 and values below 6.
TEST_P(CudaKernels, BiasActivation) {
  for (const Activation activation :
       {Activation::kNone, Activation::kGeluErf, Activation::kGeluTanh, Activation::kRelu,
        Activation::kTanh, Activation::kTanhRelu}) {
    for (const size_t columns : {1, 77, 1536, 3072}) {
      const size_t rows = 3;
      Matrix values(Random(rows * columns, 1, 5), element());
      const auto bias = Random(columns, 2);
      std::vector<double> expected;
      const auto before = values.values();
      for (size_t i = 0; i < before.size(); ++i) {
        expected.push_back(
            Activated(activation, static_cast<double>(before[i]) + bias[i % columns]));
      }
      Launch(BiasActivation{.element = element(),
                            .activation = activation,
                            .rows = static_cast<int>(rows),
                            .columns = static_cast<int>(columns),
                            .bias = bias.data(),
                            .values = values.data()});
      ExpectClose(
          expected, values.values(), element(), [](size_t) { return 8 * 6 * kEpsilon; },
          "activation " + std::to_string(static_cast<int>(activation)));
    }
  }
}

TEST_P(CudaKernels, PoolRows) {
  const std::vector<int32_t> offsets = {0, 1, 8, 41};
  for (const size_t columns : {1, 129, 384}) {
    for (const bool is_mean : {true, false}) {
      const auto rows = Random(41 * columns, 1);
      std::vector<double> expected;
      for (size_t s = 0; s + 1 < offsets.size(); ++s) {
        const auto begin = static_cast<size_t>(offsets[s]);
        const auto end = is_mean ? static_cast<size_t>(offsets[s + 1]) : begin + 1;
        for (size_t i = 0; i < columns; ++i) {
          double sum = 0;
          for (size_t row = begin; row < end; ++row) sum += rows[row * columns + i];
          expected.push_back(sum / static_cast<double>(end - begin));
        }
      }
      std::vector<float> residual(expected.size());
      Matrix hidden(residual, element());
      Launch(PoolRows{.element = element(),
                      .is_mean = is_mean,
                      .num_sequences = 3,
                      .columns = static_cast<int>(columns),
                      .offsets = offsets.data(),
                      .rows = rows.data(),
                      .residual = residual.data(),
                      .hidden = hidden.data()});
      const auto bound = [](size_t) { return 34 * kEpsilon; };  // partial sums over their count
      ExpectClose(expected, residual, Element::kF32, bound, "residual");
      ExpectClose(expected, hidden.values(), element(), bound, "hidden");
    }
  }
}

struct AttentionCase {
  size_t heads = 1;
  size_t head_dim = 1;
  std::vector<int32_t> offsets;
  bool first_rows_only = false;
  float spread = 1;  // of queries: how far apart scores are
};

// The weights of a row are e^(score - largest) over their sum. A score of head_dim products is off
// by head_dim * e * sum of abs(q k), the difference of two by twice that, which e^x passes on; the
// running sums are scaled once a tile. Values are below 2, and weights sum to 1.
class CudaAttention : public CudaKernels {
 protected:
  void Check(const AttentionCase& c) {
    const size_t tokens = static_cast<size_t>(c.offsets.back());
    const size_t sequences = c.offsets.size() - 1;
    const size_t width = c.heads * c.head_dim;
    const float scale = 1 / std::sqrt(static_cast<float>(c.head_dim));
    const size_t query_rows = c.first_rows_only ? sequences : tokens;
    Matrix queries(Random(query_rows * width, 1, c.spread), element());
    Matrix keys_values(Random(tokens * 2 * width, 2), element());
    const auto query_bias = Random(width, 3);
    const auto key_bias = Random(width, 4);
    const auto value_bias = Random(width, 5);
    Matrix context(std::vector<float>(query_rows * width), element());
    int longest = 0;
    for (size_t s = 0; s < sequences; ++s) {
      longest = std::max(longest, c.offsets[s + 1] - c.offsets[s]);
    }
    Launch(Attention{
        .element = element(),
        .num_sequences = static_cast<int>(sequences),
        .max_tokens = longest,
        .num_heads = static_cast<int>(c.heads),
        .head_dim = static_cast<int>(c.head_dim),
        .first_rows_only = c.first_rows_only,
        .scale = scale,
        .offsets = c.offsets.data(),
        .queries = queries.data(),
        .query_stride = static_cast<int>(width),
        .keys = keys_values.data(),
        .values = static_cast<std::byte*>(keys_values.data()) + width * ByteSize(element()),
        .key_stride = static_cast<int>(2 * width),
        .query_bias = query_bias.data(),
        .key_bias = key_bias.data(),
        .value_bias = value_bias.data(),
        .context = context.data()});
    const auto q = queries.values();
    const auto kv = keys_values.values();
    std::vector<double> expected(query_rows * width);
    double score_error = 0;
    for (size_t s = 0; s < sequences; ++s) {
      const auto begin = static_cast<size_t>(c.offsets[s]);
      const auto end = static_cast<size_t>(c.offsets[s + 1]);
      const size_t first_row = c.first_rows_only ? s : begin;
      const size_t rows = c.first_rows_only ? 1 : end - begin;
      for (size_t row = first_row; row < first_row + rows; ++row) {
        for (size_t h = 0; h < c.heads; ++h) {
          std::vector<double> scores;
          for (size_t key = begin; key < end; ++key) {
            double sum = 0;
            double size = 0;
            for (size_t i = h * c.head_dim; i < (h + 1) * c.head_dim; ++i) {
              const double product = (static_cast<double>(q[row * width + i]) + query_bias[i]) *
                                     (static_cast<double>(kv[key * 2 * width + i]) + key_bias[i]);
              sum += product;
              size += std::abs(product);
            }
            scores.push_back(sum * scale);
            score_error = std::max(score_error,
                                   (static_cast<double>(c.head_dim) + 4) * kEpsilon * size * scale);
          }
          const double largest = *std::max_element(scores.begin(), scores.end());
          double total = 0;
          for (double& score : scores) total += score = std::exp(score - largest);
          for (size_t i = h * c.head_dim; i < (h + 1) * c.head_dim; ++i) {
            double sum = 0;
            for (size_t key = begin; key < end; ++key) {
              sum += scores[key - begin] *
                     (static_cast<double>(kv[(key * 2 + 1) * width + i]) + value_bias[i]);
            }
            expected[row * width + i] = sum / total;
          }
        }
      }
    }
    const double bound = 2 * (2 * score_error + 8 * kEpsilon) * 2 +
                         2 * (static_cast<double>(longest) + 8) * kEpsilon * 2;
    ExpectClose(
        expected, context.values(), element(), [=](size_t) { return bound; },
        std::to_string(c.heads) + " heads of " + std::to_string(c.head_dim));
  }
};

TEST_P(CudaAttention, AgreesWithTheFormula) {
  const std::vector<int32_t> ragged = {0, 1, 4, 36, 69, 76, 140};
  Check({.heads = 1, .head_dim = 1, .offsets = {0, 3}});
  Check({.heads = 4, .head_dim = 16, .offsets = ragged});
  Check({.heads = 3, .head_dim = 26, .offsets = ragged});
  Check({.heads = 2, .head_dim = 64, .offsets = ragged});
  Check({.heads = 1, .head_dim = 128, .offsets = {0, 130}});
  Check({.heads = 1, .head_dim = 64, .offsets = {0, 512}});
}

TEST_P(CudaAttention, FirstRowsOnly) {
  Check({.heads = 3, .head_dim = 26, .offsets = {0, 1, 4, 36, 69, 140}, .first_rows_only = true});
}

// Scores up to about +-60: the running largest one must rescale what came before.
TEST_P(CudaAttention, ScoresThatAreFarApart) {
  Check({.heads = 2, .head_dim = 64, .offsets = {0, 100, 133}, .spread = 30});
}

constexpr auto kName = [](const auto& test) {
  return test.param == Element::kF32 ? "f32" : test.param == Element::kF16 ? "f16" : "bf16";
};
INSTANTIATE_TEST_SUITE_P(Elements, CudaKernels,
                         ::testing::Values(Element::kF32, Element::kF16, Element::kBf16), kName);
INSTANTIATE_TEST_SUITE_P(Elements, CudaLayerNorms,
                         ::testing::Values(Element::kF32, Element::kF16, Element::kBf16), kName);
INSTANTIATE_TEST_SUITE_P(Elements, CudaAttention,
                         ::testing::Values(Element::kF32, Element::kF16, Element::kBf16), kName);

}  // namespace
}  // namespace tailor::cuda
