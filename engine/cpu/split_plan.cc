// SPDX-License-Identifier: Apache-2.0
#include "engine/cpu/split_plan.h"

#include <algorithm>
#include <numeric>

namespace tailor {
namespace {

// Time of a sequence in units of one token without attention. For hidden sizes of 384 to 768
// attention doubles that at one to two thousand tokens; balance only needs the order of it.
int64_t Cost(int tokens) { return tokens + static_cast<int64_t>(tokens) * tokens / 1024; }

// Longest first, each to the thread with the least so far.
void SplitWholeSequences(std::span<const int32_t> offsets, int threads, SplitPlan& plan) {
  const int n = static_cast<int>(offsets.size()) - 1;
  const auto tokens = [&](int i) { return offsets[i + 1] - offsets[i]; };
  plan.sequences.resize(n);
  std::iota(plan.sequences.begin(), plan.sequences.end(), 0);
  plan.first.assign(threads + 1, 0);
  plan.load.assign(threads, 0);
  if (threads == 1) {
    plan.first[1] = n;
    plan.load[0] = 1;
    return;
  }
  std::sort(plan.sequences.begin(), plan.sequences.end(),
            [&](int a, int b) { return tokens(a) != tokens(b) ? tokens(a) > tokens(b) : a < b; });
  // The owner of each sequence is needed twice; it is packed above the index for the final sort.
  for (int& entry : plan.sequences) {
    const auto least = std::min_element(plan.load.begin(), plan.load.end());
    *least += Cost(tokens(entry));
    const int thread = static_cast<int>(least - plan.load.begin());
    ++plan.first[thread + 1];
    entry += thread * n;
  }
  std::partial_sum(plan.first.begin(), plan.first.end(), plan.first.begin());
  std::sort(plan.sequences.begin(), plan.sequences.end());
  for (int& entry : plan.sequences) entry %= n;
}

void SplitRows(int rows, int threads, int min_unit, SplitPlan& plan) {
  const int unit = rows <= 32 * threads ? min_unit : 16;
  const int units = (rows + unit - 1) / unit;
  plan.first_row.assign(threads + 1, 0);
  for (int t = 1; t <= threads; ++t) {
    plan.first_row[t] = std::min(rows, unit * (units * t / threads));
  }
  plan.first_row[threads] = rows;
}

}  // namespace

void ReservePlan(int max_sequences, int threads, SplitPlan& plan) {
  plan.sequences.reserve(max_sequences);
  plan.first.reserve(threads + 1);
  plan.first_row.reserve(threads + 1);
  plan.load.reserve(threads);
}

void PlanSplit(std::span<const int32_t> offsets, int threads, const SplitLimits& limits,
               SplitPlan& plan) {
  SplitWholeSequences(offsets, threads, plan);
  plan.is_shared = plan.shares_outputs = false;
  const int rows = offsets.back();
  if (threads == 1 || rows > limits.max_shared_rows) return;
  const int64_t total = std::accumulate(plan.load.begin(), plan.load.end(), int64_t{0});
  const int64_t slowest = *std::max_element(plan.load.begin(), plan.load.end());
  plan.shares_outputs = rows <= limits.max_output_rows;
  plan.is_shared = plan.shares_outputs || 10 * total < 9 * slowest * threads;
  if (!plan.is_shared) return;
  std::sort(plan.sequences.begin(), plan.sequences.end());
  SplitRows(rows, threads, limits.min_unit, plan);
}

}  // namespace tailor
