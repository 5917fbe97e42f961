// SPDX-License-Identifier: Apache-2.0
// What the pipeline tells of itself: for Admin, /statusz and the log.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "server/pipeline/request.h"

namespace tailor {

// predicted seconds = (fixed + per_token * tokens + per_square * sum(length^2) + per_row * pairs)
//                     * ratio
struct CostCoefficients {
  double fixed = 0;
  double per_token = 0;
  double per_square = 0;
  double per_row = 0;
  double ratio = 1;  // recent observed / predicted
};

// One choice of the selector, kept in a ring of the last 50.
struct DecisionRecord {
  TimePoint at;
  int variant = 0;
  SelectionReason reason = SelectionReason::kFit;
  int requests = 0;
  int pairs = 0;
  int tokens = 0;
  Duration predicted{};
  Duration actual{};       // zero while it runs, or when it failed
  std::string_view split;  // Backend::last_split, once it has run
};

struct StatusReport {
  bool warm = false;
  bool admitting = false;
  std::string policy;
  int queued_requests = 0;
  int64_t queued_tokens = 0;
  std::vector<CostCoefficients> costs;    // one a variant
  std::vector<bool> available;            // one a variant; false: quarantined
  std::vector<bool> on_ladder;            // one a variant, by measured cost
  std::vector<DecisionRecord> decisions;  // newest first
};

struct ExplainQuery {
  std::vector<int> lengths;  // tokens a pair
  Duration budget{};
  std::string variant;  // pin
  double min_quality = 0;
};

struct ExplainedCandidate {
  int variant = 0;
  Duration predicted{};
  bool eligible = false;
  std::string why;
};

struct Explanation {
  int variant = -1;  // -1: refused
  int second = -1;   // of a cascade: scores the best documents again
  std::string reason;
  Duration predicted{};
  Duration smallest_feasible_budget{};
  std::vector<ExplainedCandidate> candidates;  // best quality first
};

}  // namespace tailor
