// SPDX-License-Identifier: Apache-2.0
// What cascades are worth: every document of a Rank request is scored by one variant, then the
// best of them by a better one. Measured offline, a part of the family (calibration.json).
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "server/pipeline/selector.h"

namespace tailor {

// A non-decreasing, piecewise linear map from a variant's raw score to the scale that the scores
// of all variants share.
struct Calibration {
  std::vector<float> scores;  // rising; empty: the variant takes no part in cascades
  std::vector<float> values;  // as many, never falling
  double quality = 0;         // of the variant alone, measured on the same lists as the pairs
};

// `first` scores all documents, `second` the best share of them.
struct CascadePair {
  int first = -1;
  int second = -1;
  std::vector<double> shares;     // rising, in (0, 1)
  std::vector<double> qualities;  // at each share
};

// What one request should do.
struct CascadePlan {
  int first = -1;
  int second = -1;
  double seconds = 0;  // both passes, as predicted, without the safety factor
  double quality = 0;
};

// Immutable, so safe to share.
class CascadeTable {
 public:
  // Indices are those of Ranker::variants(); one calibration a variant. Both variants of a pair
  // have one.
  CascadeTable(std::vector<Calibration> calibrations, std::vector<CascadePair> pairs);

  // The cascade of two `admissible` variants that gives the most within `seconds_left`, when that
  // is clearly better than `single`, calibrated or not, on all documents. Lengths are taken as
  // equal. A row of the second pass must not take more than `most_seconds`.
  std::optional<CascadePlan> Choose(int single, const VariantSet& admissible, const WorkShape& work,
                                    double seconds_left, double most_seconds,
                                    std::span<const VariantState> variants,
                                    const BatchLimits& limits, double safety) const;

  // With the best `share` (0 to 1) of the documents scored twice; linear between what was measured.
  double Quality(const CascadePair& pair, double share) const;
  double Quality(int first, int second, double share) const;

  // The score on the common scale; beyond the ends of the map, the value at the end.
  float Calibrated(int variant, float score) const;

  size_t num_pairs() const { return pairs_.size(); }

 private:
  bool IsCalibrated(int variant) const {
    return !calibrations_[static_cast<size_t>(variant)].scores.empty();
  }

  const std::vector<Calibration> calibrations_;
  const std::vector<CascadePair> pairs_;
};

}  // namespace tailor
