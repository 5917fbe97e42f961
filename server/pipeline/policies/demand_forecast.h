// SPDX-License-Identifier: Apache-2.0
// How much work arrives, in which sizes and with which budgets: running means, for a policy that
// leaves time for what will come.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/clock.h"
#include "server/pipeline/selector.h"

namespace tailor {

// Not thread-safe. Knows of time only what it is told.
class DemandForecast {
 public:
  // Requests of similar budget and size.
  struct Class {
    double rate = 0;    // requests a second
    double budget = 0;  // seconds, mean
    WorkShape work;     // of one, mean
  };

  void Observe(const QueueEntry& entry, TimePoint now);

  // The classes that matter, smallest budget first.
  std::vector<Class> Classes(TimePoint now) const;

  // Tokens of a row, mean.
  double mean_length() const { return mean_length_; }

 private:
  static constexpr int kBudgets = 12;  // powers of two from 2 ms
  static constexpr int kSizes = 8;     // powers of four from 64 tokens

  // Sums of weights that halve every kMemorySeconds * ln 2.
  struct Cell {
    double requests = 0;
    double budget = 0;
    double rows = 0;
    double tokens = 0;
    double squares = 0;
    TimePoint at;  // to which the sums have decayed
  };

  std::array<Cell, kBudgets * kSizes> cells_;
  TimePoint first_;
  bool any_ = false;
  double mean_length_ = 0;
};

}  // namespace tailor
