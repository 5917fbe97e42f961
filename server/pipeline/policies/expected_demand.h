// SPDX-License-Identifier: Apache-2.0
// What is expected to join the queue, in the terms of a ladder, and what a long batch would make
// of it.
#pragma once

#include <span>
#include <vector>

#include "server/pipeline/policies/burstiness.h"
#include "server/pipeline/policies/demand_forecast.h"
#include "server/pipeline/policies/ladder.h"
#include "server/pipeline/policies/time_price.h"

namespace tailor {

// Not thread-safe. Knows of time only what it is told.
class ExpectedDemand {
 public:
  // Whoever comes, also those who are refused.
  void Observe(const QueueEntry& entry, TimePoint now);

  // Estimates anew, unless that was done a moment ago; true when it did.
  bool Update(TimePoint now);
  // The classes in reference tokens of `ladder`; nothing when it has no levels.
  void Describe(const Ladder& ladder);

  // Smallest budget first.
  const std::vector<PricedClass>& classes() const { return classes_; }
  // Quality of newcomers that a batch of that length would lose.
  double Loss(double seconds, const Ladder& ladder) const;

  // What waits, for RefusalPrice.
  struct Backlog {
    std::span<const PricedItem> items;  // earliest deadline first
    double tail_seconds = 0;            // of what waits behind them, at the cheapest
    double fullness = 0;                // of the queue's bounds
    double speed = 1;                   // as in PriceSearch::Input
  };

  // What a second of the engine saves of those who are about to come and would be refused: quality
  // a second. A delay costs something only if the backlog reaches the point of refusal before it is
  // worked off, even if only the cheapest runs from now on (the probability is that of a random
  // walk with the load and the measured variance of the work). Then who comes is refused until the
  // delay is made up for: rate / (1 - load of who goes before) requests a second of delay.
  double RefusalPrice(const Backlog& backlog, const Ladder& ladder) const;

  // Tokens of a row, mean.
  double mean_length() const { return forecast_.mean_length(); }
  // Of a usual batch, when there are enough requests for one; 0: not known yet.
  double batch_seconds() const { return batch_seconds_; }

 private:
  // Work of the last seconds over that of the last one, by tokens; at least 1.
  double Growth(TimePoint now) const;

  DemandForecast forecast_;
  Burstiness burstiness_;
  std::vector<DemandForecast::Class> forecast_classes_;
  std::vector<PricedClass> classes_;
  std::vector<PricedClass>
      steady_;  // the same with the rates of the last seconds, if these are more
  double batch_seconds_ = 0;
  TimePoint updated_;
  double growth_ = 1;
  double long_tokens_ = 0;  // fading
  TimePoint first_;
  TimePoint last_;
};

}  // namespace tailor
