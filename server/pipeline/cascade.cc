// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/cascade.h"

#include <algorithm>
#include <utility>

namespace tailor {
namespace {

// Below this a difference of measured qualities is chance: an evaluation set of 1,400 lists tells
// about 0.003 apart.
constexpr double kLeastGain = 0.003;

// One document scored twice keeps its place.
constexpr int64_t kLeastRows = 2;

WorkShape PartOf(const WorkShape& work, int64_t rows) {
  return {.rows = rows,
          .tokens = work.tokens * rows / work.rows,
          .squares = work.squares * rows / work.rows};
}

// The most rows of mean length that the variant scores in that time.
int64_t RowsInTime(const CostCoefficients& cost, const WorkShape& work, const BatchLimits& limits,
                   double seconds) {
  int64_t low = 0;
  int64_t high = work.rows;
  while (low < high) {
    const int64_t middle = (low + high + 1) / 2;
    if (AloneSeconds(cost, PartOf(work, middle), limits) <= seconds) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

// Linear between points; beyond the ends, the value at the end.
template <typename T>
T Interpolated(const std::vector<T>& xs, const std::vector<T>& ys, T x) {
  const auto next = std::lower_bound(xs.begin(), xs.end(), x);
  if (next == xs.begin()) return ys.front();
  if (next == xs.end()) return ys.back();
  const auto i = static_cast<size_t>(next - xs.begin());
  const T part = (x - xs[i - 1]) / (xs[i] - xs[i - 1]);
  return ys[i - 1] + part * (ys[i] - ys[i - 1]);
}

}  // namespace

CascadeTable::CascadeTable(std::vector<Calibration> calibrations, std::vector<CascadePair> pairs)
    : calibrations_(std::move(calibrations)), pairs_([&] {
        // The ends are known: nothing scored twice, and everything.
        for (CascadePair& pair : pairs) {
          pair.shares.insert(pair.shares.begin(), 0);
          pair.qualities.insert(pair.qualities.begin(),
                                calibrations_[static_cast<size_t>(pair.first)].quality);
          pair.shares.push_back(1);
          pair.qualities.push_back(calibrations_[static_cast<size_t>(pair.second)].quality);
        }
        return std::move(pairs);
      }()) {}

std::optional<CascadePlan> CascadeTable::Choose(int single, const VariantSet& admissible,
                                                const WorkShape& work, double seconds_left,
                                                double most_seconds,
                                                std::span<const VariantState> variants,
                                                const BatchLimits& limits, double safety) const {
  const auto alone = static_cast<size_t>(single);
  const std::optional<double> quality_alone =
      IsCalibrated(single) ? calibrations_[alone].quality : variants[alone].quality;
  if (!quality_alone || work.rows <= kLeastRows) return std::nullopt;
  const double least = *quality_alone + kLeastGain;
  std::optional<CascadePlan> best;
  const double seconds = seconds_left / safety;
  for (const CascadePair& pair : pairs_) {
    if (!Contains(admissible, pair.first) || !Contains(admissible, pair.second)) continue;
    const VariantState& first = variants[static_cast<size_t>(pair.first)];
    const VariantState& second = variants[static_cast<size_t>(pair.second)];
    if (!first.is_available || !second.is_available) continue;
    const double first_seconds = AloneSeconds(first.cost, work, limits);
    if (first_seconds >= seconds) continue;
    if (BatchSeconds(second.cost, PartOf(work, 1)) > most_seconds) continue;
    const int64_t rows = RowsInTime(second.cost, work, limits, seconds - first_seconds);
    if (rows < kLeastRows) continue;
    const double share = static_cast<double>(rows) / static_cast<double>(work.rows);
    const double quality = Quality(pair, share);
    if (quality < least || (best && quality <= best->quality)) continue;
    best = CascadePlan{
        .first = pair.first,
        .second = pair.second,
        .seconds = first_seconds + AloneSeconds(second.cost, PartOf(work, rows), limits),
        .quality = quality};
  }
  return best;
}

double CascadeTable::Quality(const CascadePair& pair, double share) const {
  return Interpolated(pair.shares, pair.qualities, share);
}

double CascadeTable::Quality(int first, int second, double share) const {
  for (const CascadePair& pair : pairs_) {
    if (pair.first == first && pair.second == second) return Quality(pair, share);
  }
  return calibrations_[static_cast<size_t>(first)].quality;
}

float CascadeTable::Calibrated(int variant, float score) const {
  const Calibration& map = calibrations_[static_cast<size_t>(variant)];
  return map.scores.empty() ? score : Interpolated(map.scores, map.values, score);
}

}  // namespace tailor
