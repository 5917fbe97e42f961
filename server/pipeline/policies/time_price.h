// SPDX-License-Identifier: Apache-2.0
// What a second of the engine is worth, in quality, to what waits and what is expected.
//
// The most quality in time is a linear program: fractions of every request at the corners of the
// ladder, under the condition of earliest deadline first that all work due by a time fits before
// it. Its conditions are nested, so the optimum is reached by a price that falls along the queue:
// each request takes the corner whose last step up is worth its time. The price of the first
// request is the highest of those at which one prefix fits; what stands behind the last prefix
// that needs that price has a lower one, found from what remains.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "server/pipeline/policies/ladder.h"

namespace tailor {

// A request to be priced.
struct PricedItem {
  double tokens = 0;    // of reference, Ladder::Tokens
  double left = 0;      // seconds until its deadline
  int lowest = 0;       // first corner that it admits
  double seconds = -1;  // of a request without a choice; below 0: it has one
  double least = 0;     // seconds, by the quickest that it admits
};

// Requests that are expected.
struct PricedClass {
  double rate = 0;  // a second
  double budget = 0;
  double tokens = 0;
};

struct TimePrice {
  double first = 0;  // quality a second, for the items up to and with `boundary`
  double rest = 0;
  size_t boundary = 0;

  double Of(size_t item) const { return item <= boundary ? first : rest; }
};

// Holds only what it is given, which outlives it.
class PriceSearch {
 public:
  struct Input {
    const Ladder* ladder = nullptr;
    std::span<const PricedItem> items;     // earliest deadline first
    std::span<const PricedClass> classes;  // smallest budget first
    PricedItem tail;                       // all that waits behind; tokens 0: nothing
    double tail_requests = 0;
    double speed = 1;  // workers / (safety * observed excess over the ladder's costs)
  };

  explicit PriceSearch(const Input& input);

  // `previous`: where to look first; any prices are right.
  TimePrice Find(const TimePrice& previous) const;

  // Seconds of an item at a price.
  double Seconds(const PricedItem& item, double price) const;

  // Whether the items for which `taken` is false, and what is expected to come meanwhile, fit their
  // deadlines at `price`, when the engine is busy for `busy` seconds before and only `share` of the
  // time left may be used.
  bool LeavesTime(const TimePrice& price, const std::vector<bool>& taken, double busy,
                  double share) const;

 private:
  static constexpr int kFits = -1;

  // The same of in_.items[index], quicker for prices near the last one that it was asked for.
  double SecondsOf(size_t index, double price) const;
  // The last condition that fails (or the first found, when any will do): an item, items.size()
  // for the tail, one more for the utilisation; kFits.
  int Failure(const TimePrice& price, size_t from, bool any) const;
  double ClassSeconds(double price) const;
  // The lowest price at which no condition fails, of all or of those behind the boundary, within
  // 10 %; *failed is the last one that fails just below it.
  double Lowest(TimePrice price, bool is_rest, double previous, int* failed) const;

  const Input in_;
  mutable std::vector<size_t> corners_;  // one an item: where the last look ended
  double least_ = 0;                     // at or below it everything takes the best
  double most_ = 0;                      // at or above it everything takes the cheapest
};

}  // namespace tailor
