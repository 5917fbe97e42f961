// SPDX-License-Identifier: Apache-2.0
// Our requests in the terms of papers whose queries all have one size: a query is a request of the
// mean size of late, a request of n times that size counts as n queries (at least one), and the
// profile l(variant, b) is the time of b mean requests as measured at warm-up. A request is never
// split between variants, as a query is not; rows beyond the engine's largest batch run next.
#pragma once

#include <span>
#include <vector>

#include "server/pipeline/selector.h"

namespace tailor {

// Not thread-safe. Deterministic.
class MeanQuery {
 public:
  void Observe(const QueueEntry& entry);

  // The shape of `n` mean requests.
  WorkShape Times(double n) const;
  // How many mean requests that is, by tokens; at least 1.
  double CountOf(const WorkShape& work) const;
  // From arrival to deadline.
  double budget_seconds() const { return budget_; }

  // A number that changes when the mean has moved by more than a tenth: time for a new profile.
  int version() const { return version_; }

 private:
  // Papers profile once: the mean must be steady, or tables would be made all the time.
  static constexpr int kMemory = 512;  // requests

  int seen_ = 0;  // up to kMemory
  double rows_ = 1;
  double tokens_ = 0;
  double squares_ = 0;
  double budget_ = 0;
  double tokens_at_version_ = 0;
  int version_ = 0;
};

// The time of `work` as measured at warm-up: papers profile once, so no recent correction.
double ProfiledSeconds(const VariantState& variant, const WorkShape& work,
                       const BatchLimits& limits);

// The variants of a set that are available, of known quality, and better than all that are as fast
// for `work`: fastest first.
std::vector<int> ParetoFront(std::span<const VariantState> variants, const VariantSet& set,
                             const WorkShape& work, const BatchLimits& limits);

// The first entry that some available variant may answer; the ones before it become
// selection->hopeless. -1 when there is none.
int FirstRunnable(const QueueSnapshot& queue, std::span<const VariantState> variants,
                  Selection* selection);

// `wanted` when the entry admits it, else the best that is as fast, else the fastest it admits.
int Permitted(const QueueEntry& entry, int wanted, std::span<const VariantState> variants,
              const BatchLimits& limits);

// Adds to the selection, from `head` on in the order of deadlines, what admits `variant` until
// `max_queries` are taken (the head always) or the engine's limits are reached, and the rest of
// it: variant, predicted time.
void TakeEarliest(const QueueSnapshot& queue, std::span<const VariantState> variants, int head,
                  int variant, double max_queries, const MeanQuery& mean, Selection* selection);

}  // namespace tailor
