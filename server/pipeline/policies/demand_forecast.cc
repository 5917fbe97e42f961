// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/policies/demand_forecast.h"

#include <algorithm>
#include <cmath>

namespace tailor {
namespace {

// Short enough to follow a ramp within a second, long enough to tell load from a burst, which the
// queue itself shows.
constexpr double kMemorySeconds = 1;
// Of less than this nothing can be said.
constexpr double kLeastSeconds = 0.25;
constexpr double kLeastBudget = 2e-3;
constexpr double kLeastTokens = 64;
constexpr double kLengthWeight = 1.0 / 64;
// A class below this rate, in requests within the memory, is noise.
constexpr double kLeastRequests = 0.5;

int BucketOf(double value, double least, double base, int count) {
  if (value <= least) return 0;
  return std::min(count - 1, 1 + static_cast<int>(std::log2(value / least) / std::log2(base)));
}

}  // namespace

void DemandForecast::Observe(const QueueEntry& entry, TimePoint now) {
  const double budget = ToSeconds(entry.deadline - entry.arrival);
  const double tokens = static_cast<double>(entry.total.tokens);
  const double length = tokens / static_cast<double>(entry.total.rows);
  mean_length_ += (any_ ? kLengthWeight : 1) * (length - mean_length_);
  if (!any_) first_ = now;
  any_ = true;
  const int row = BucketOf(budget, kLeastBudget, 2, kBudgets);
  const int column = BucketOf(tokens, kLeastTokens, 4, kSizes);
  const int index = row * kSizes + column;
  Cell& cell = cells_[static_cast<size_t>(index)];
  const double kept = cell.requests == 0 ? 0 : std::exp(-ToSeconds(now - cell.at) / kMemorySeconds);
  const auto add = [kept](double* sum, double value) { *sum = *sum * kept + value; };
  add(&cell.requests, 1);
  add(&cell.budget, budget);
  add(&cell.rows, static_cast<double>(entry.total.rows));
  add(&cell.tokens, tokens);
  add(&cell.squares, static_cast<double>(entry.total.squares));
  cell.at = now;
}

std::vector<DemandForecast::Class> DemandForecast::Classes(TimePoint now) const {
  std::vector<Class> classes;
  if (!any_) return classes;
  const double seen = ToSeconds(now - first_);
  if (seen < kLeastSeconds) return classes;
  // What the sums would be at a rate of one a second, seen since the first arrival.
  const double unit = kMemorySeconds * (1 - std::exp(-seen / kMemorySeconds));
  for (const Cell& cell : cells_) {
    if (cell.requests == 0) continue;
    const double requests = cell.requests * std::exp(-ToSeconds(now - cell.at) / kMemorySeconds);
    if (requests < kLeastRequests) continue;
    const double count = cell.requests;
    classes.push_back({.rate = requests / unit,
                       .budget = cell.budget / count,
                       .work = {.rows = std::llround(std::max(1.0, cell.rows / count)),
                                .tokens = std::llround(cell.tokens / count),
                                .squares = std::llround(cell.squares / count)}});
  }
  std::sort(classes.begin(), classes.end(),
            [](const Class& a, const Class& b) { return a.budget < b.budget; });
  return classes;
}

}  // namespace tailor
