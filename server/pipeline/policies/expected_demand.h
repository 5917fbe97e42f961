// SPDX-License-Identifier: Apache-2.0
// What is expected to join the queue, in the terms of a ladder, and what a long batch would make
// of it.
#pragma once

#include <vector>

#include "server/pipeline/policies/demand_forecast.h"
#include "server/pipeline/policies/ladder.h"
#include "server/pipeline/policies/time_price.h"

namespace tailor {

// Not thread-safe. Knows of time only what it is told.
class ExpectedDemand {
 public:
  void Observe(const QueueEntry& entry, TimePoint now) { forecast_.Observe(entry, now); }

  // Estimates anew, unless that was done a moment ago; true when it did.
  bool Update(TimePoint now);
  // The classes in reference tokens of `ladder`; nothing when it has no levels.
  void Describe(const Ladder& ladder);

  // Smallest budget first.
  const std::vector<PricedClass>& classes() const { return classes_; }
  // Quality of newcomers that a batch of that length would lose.
  double Loss(double seconds, const Ladder& ladder) const;

  // Tokens of a row, mean.
  double mean_length() const { return forecast_.mean_length(); }
  // Of a usual batch, when there are enough requests for one; 0: not known yet.
  double batch_seconds() const { return batch_seconds_; }

 private:
  DemandForecast forecast_;
  std::vector<DemandForecast::Class> forecast_classes_;
  std::vector<PricedClass> classes_;
  double batch_seconds_ = 0;
  TimePoint updated_;
};

}  // namespace tailor
