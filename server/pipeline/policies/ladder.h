// SPDX-License-Identifier: Apache-2.0
// The variants worth choosing, by cost and quality, and how good each request may be at a price of
// engine time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "server/pipeline/selector.h"

namespace tailor {

// Not thread-safe. Costs are those of the moment, ratio included.
class Ladder {
 public:
  struct Level {
    int variant = -1;
    double quality = 0;
    double per_token = 0;  // seconds a reference token, in batches of the usual length
    CostCoefficients cost;
  };

  // Makes the levels anew when a cost has moved by 2 %, a variant has come or gone, or one of the
  // others by a tenth. Otherwise cheap. mean_length: tokens of a row; batch_seconds: of a usual
  // batch under load, of which the fixed cost takes its part; 0: as long as pays.
  void Update(std::span<const VariantState> variants, double mean_length, double batch_seconds,
              const BatchLimits& limits);

  // The Pareto front: cheapest first, each better than the one before.
  const std::vector<Level>& levels() const { return levels_; }
  // Of these, the corners of their upper convex hull: mixtures of neighbours are the most quality
  // that a mean cost can buy. Corners that are hardly better than the one before are left out.
  // Indices into levels().
  const std::vector<int>& corners() const { return corners_; }
  const Level& corner(int index) const {
    return levels_[static_cast<size_t>(corners_[static_cast<size_t>(index)])];
  }

  // Rows in reference tokens: tokens of mean length that cost as much.
  double Tokens(const WorkShape& work) const;

  // The corner that gains the most at `price` quality a second, for work of that many tokens: the
  // last one whose step up is worth its time.
  int CornerAt(double price, double tokens) const {
    const double bound = price * tokens;
    const auto step = std::partition_point(steps_.begin(), steps_.end(),
                                           [bound](double worth) { return worth > bound; });
    return static_cast<int>(step - steps_.begin());
  }

  // Quality a second and reference token of the steps from corner to corner, falling.
  const std::vector<double>& steps() const { return steps_; }

 private:
  struct Candidate {
    double ratio = -1;  // when per_token was computed; below 0: not to be chosen
    double quality = 0;
    double per_token = 0;
  };

  double PerToken(const CostCoefficients& cost, const BatchLimits& limits) const;
  // True when a candidate has changed.
  bool UpdateCandidates(std::span<const VariantState> variants, bool all,
                        const BatchLimits& limits);
  void FindLevels(std::span<const VariantState> variants);
  void FindCorners();

  std::vector<Level> levels_;
  std::vector<int> corners_;
  std::vector<double> steps_;
  WorkShape reference_;
  double tokens_per_second_ = 0;  // reference tokens, at the best level
  double mean_length_ = 0;
  double batch_seconds_ = 0;
  std::vector<Candidate> candidates_;  // one a variant
  std::vector<int> order_;             // of them, cheapest first; nearly right the next time
};

}  // namespace tailor
