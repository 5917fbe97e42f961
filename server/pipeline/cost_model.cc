// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/cost_model.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

namespace tailor {
namespace {

constexpr int kTerms = 4;
using Row = std::array<double, kTerms>;

constexpr double kFixedShare = 0.03;
constexpr int64_t kMinFullTokens = 256;
// What the server itself spends on a batch (selecting, cutting, answering) is not in the fixed
// cost. Below this length it is more than a few percent, and an urgent request hardly notices the
// wait.
constexpr double kMinFullSeconds = 2e-3;

// The normal equations of the weighted problem.
struct Normal {
  std::array<Row, kTerms> matrix{};
  Row right{};
};

Row Features(const WorkShape& shape) {
  return {1, static_cast<double>(shape.tokens), static_cast<double>(shape.squares),
          static_cast<double>(shape.rows)};
}

bool IsUsable(const CostSample& sample) {
  return std::isfinite(sample.seconds) && sample.seconds > 0 && sample.shape.tokens > 0;
}

// Gaussian elimination with pivoting over the terms in `active`; nothing when they are dependent.
std::optional<Row> Solve(const Normal& normal, const std::vector<size_t>& active) {
  const size_t n = active.size();
  std::array<std::array<double, kTerms + 1>, kTerms> m{};
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) m[i][j] = normal.matrix[active[i]][active[j]];
    m[i][n] = normal.right[active[i]];
  }
  for (size_t column = 0; column < n; ++column) {
    size_t pivot = column;
    for (size_t i = column + 1; i < n; ++i) {
      if (std::fabs(m[i][column]) > std::fabs(m[pivot][column])) pivot = i;
    }
    if (std::fabs(m[pivot][column]) < 1e-9) return std::nullopt;
    std::swap(m[column], m[pivot]);
    for (size_t i = 0; i < n; ++i) {
      if (i == column) continue;
      const double factor = m[i][column] / m[column][column];
      for (size_t j = column; j <= n; ++j) m[i][j] -= factor * m[column][j];
    }
  }
  Row solution{};
  for (size_t i = 0; i < n; ++i) solution[active[i]] = m[i][n] / m[i][i];
  return solution;
}

double SquaredError(const std::vector<Row>& rows, const Row& solution) {
  double error = 0;
  for (const Row& row : rows) {
    double value = -1;  // every sample's target, since rows are divided by it
    for (size_t k = 0; k < kTerms; ++k) value += row[k] * solution[k];
    error += value * value;
  }
  return error;
}

// The best of all sets of terms that stay non-negative: with four terms there are fifteen, and the
// best feasible one is the exact answer.
Row SolveNonNegative(const std::vector<Row>& rows, const Normal& normal) {
  Row best{};
  double best_error = std::numeric_limits<double>::infinity();
  for (unsigned set = 1; set < 1U << kTerms; ++set) {
    std::vector<size_t> active;
    for (size_t k = 0; k < kTerms; ++k) {
      if ((set >> k & 1U) != 0) active.push_back(k);
    }
    const std::optional<Row> solution = Solve(normal, active);
    if (!solution ||
        std::any_of(solution->begin(), solution->end(), [](double x) { return !(x >= 0); })) {
      continue;
    }
    const double error = SquaredError(rows, *solution);
    if (error < best_error) {
      best_error = error;
      best = *solution;
    }
  }
  return best;
}

double VariableSeconds(const CostCoefficients& cost, const WorkShape& work) {
  return cost.per_token * static_cast<double>(work.tokens) +
         cost.per_square * static_cast<double>(work.squares) +
         cost.per_row * static_cast<double>(work.rows);
}

// How many full batches the work is, not rounded.
double FullBatches(const CostCoefficients& cost, const WorkShape& work, const BatchLimits& limits) {
  const double tokens = static_cast<double>(work.tokens);
  const double variable = VariableSeconds(cost, work);
  double full_tokens = static_cast<double>(limits.max_tokens);
  if (variable > 0) {
    const double full_seconds =
        std::max(cost.fixed * (1 / kFixedShare - 1), kMinFullSeconds - cost.fixed);
    full_tokens = std::clamp(
        full_seconds * tokens / variable,
        static_cast<double>(std::min<int64_t>(kMinFullTokens, limits.max_tokens)), full_tokens);
  }
  return std::max(tokens / full_tokens,
                  static_cast<double>(work.rows) / static_cast<double>(limits.max_sequences));
}

}  // namespace

double ModeledSeconds(const CostCoefficients& cost, const WorkShape& work) {
  return cost.fixed + VariableSeconds(cost, work);
}

double BatchSeconds(const CostCoefficients& cost, const WorkShape& work) {
  return ModeledSeconds(cost, work) * cost.ratio;
}

double AloneSeconds(const CostCoefficients& cost, const WorkShape& work,
                    const BatchLimits& limits) {
  const double batches = std::ceil(FullBatches(cost, work, limits));
  return (VariableSeconds(cost, work) + cost.fixed * batches) * cost.ratio;
}

double SharedSeconds(const CostCoefficients& cost, const WorkShape& work,
                     const BatchLimits& limits) {
  return (VariableSeconds(cost, work) + cost.fixed * FullBatches(cost, work, limits)) * cost.ratio;
}

bool IsFullBatch(const CostCoefficients& cost, const WorkShape& work) {
  const double seconds = ModeledSeconds(cost, work);
  return work.tokens >= kMinFullTokens && seconds >= kMinFullSeconds &&
         cost.fixed <= kFixedShare * seconds;
}

absl::StatusOr<CostCoefficients> FitCost(std::span<const CostSample> samples) {
  // Columns are scaled to at most 1, so that one threshold tells dependent terms.
  Row scale{};
  std::vector<Row> rows;
  for (const CostSample& sample : samples) {
    if (!IsUsable(sample)) continue;
    Row row = Features(sample.shape);
    for (size_t k = 0; k < kTerms; ++k) {
      row[k] /= sample.seconds;
      scale[k] = std::max(scale[k], row[k]);
    }
    rows.push_back(row);
  }
  if (rows.empty()) {
    return absl::InvalidArgumentError("cost samples: expected at least one time above zero, got 0");
  }
  Normal normal;
  for (Row& row : rows) {
    for (size_t k = 0; k < kTerms; ++k) row[k] /= scale[k];
    for (size_t i = 0; i < kTerms; ++i) {
      for (size_t j = 0; j < kTerms; ++j) normal.matrix[i][j] += row[i] * row[j];
      normal.right[i] += row[i];
    }
  }
  Row solution = SolveNonNegative(rows, normal);
  for (size_t k = 0; k < kTerms; ++k) solution[k] /= scale[k];
  return CostCoefficients{.fixed = solution[0],
                          .per_token = solution[1],
                          .per_square = solution[2],
                          .per_row = solution[3],
                          .ratio = 1};
}

}  // namespace tailor
