// SPDX-License-Identifier: Apache-2.0
// What work costs: four coefficients a variant, fitted to a few measured shapes.
#pragma once

#include <cstdint>
#include <span>

#include "absl/status/statusor.h"

#include "engine/api/batch.h"
#include "server/pipeline/status_report.h"

namespace tailor {

// All that the cost model knows of a set of sequences.
struct WorkShape {
  int64_t rows = 0;
  int64_t tokens = 0;
  int64_t squares = 0;  // sum of length^2

  void Add(int64_t length) {
    ++rows;
    tokens += length;
    squares += length * length;
  }
  void Remove(int64_t length) {
    --rows;
    tokens -= length;
    squares -= length * length;
  }
  void Add(const WorkShape& other) {
    rows += other.rows;
    tokens += other.tokens;
    squares += other.squares;
  }
  void Remove(const WorkShape& other) {
    rows -= other.rows;
    tokens -= other.tokens;
    squares -= other.squares;
  }
};

struct CostSample {
  WorkShape shape;
  double seconds = 0;
};

// Seconds of one batch of that shape.
double BatchSeconds(const CostCoefficients& cost, const WorkShape& work);
// The same without the recent correction.
double ModeledSeconds(const CostCoefficients& cost, const WorkShape& work);

// Seconds of work that runs alone, in as many batches as it needs.
double AloneSeconds(const CostCoefficients& cost, const WorkShape& work, const BatchLimits& limits);
// Seconds that work adds to batches it shares with others: its part of their fixed cost.
double SharedSeconds(const CostCoefficients& cost, const WorkShape& work,
                     const BatchLimits& limits);

// True when more rows would make the batch later but hardly cheaper a token: the fixed cost is
// below 3 % of it, the products are large enough for full speed, and it takes so long (2 ms) that
// the server's own work on it is small. Larger batches only make the next urgent request wait.
bool IsFullBatch(const CostCoefficients& cost, const WorkShape& work);

// Non-negative least squares of the relative error. InvalidArgument without a usable sample (finite
// and above zero).
absl::StatusOr<CostCoefficients> FitCost(std::span<const CostSample> samples);

}  // namespace tailor
