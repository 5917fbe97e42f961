// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/policies/time_price.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tailor {
namespace {

constexpr double kPrecision = 1.1;
constexpr int kMaxSteps = 12;

}  // namespace

PriceSearch::PriceSearch(const Input& input) : in_(input), corners_(input.items.size()) {
  const std::vector<double>& steps = in_.ladder->steps();
  if (steps.empty()) return;
  double smallest = std::numeric_limits<double>::infinity();
  double largest = 0;
  const auto see = [&](double tokens) {
    if (tokens <= 0) return;
    smallest = std::min(smallest, tokens);
    largest = std::max(largest, tokens);
  };
  for (const PricedItem& item : in_.items) see(item.tokens);
  for (const PricedClass& one : in_.classes) see(one.tokens);
  if (in_.tail_requests > 0) see(in_.tail.tokens / in_.tail_requests);
  if (largest == 0) return;
  least_ = 0.99 * steps.back() / largest;
  most_ = 1.01 * steps.front() / smallest;
}

double PriceSearch::Seconds(const PricedItem& item, double price) const {
  if (item.seconds >= 0) return item.seconds;
  const int corner = std::max(item.lowest, in_.ladder->CornerAt(price, item.tokens));
  return in_.ladder->corner(corner).per_token * item.tokens;
}

double PriceSearch::SecondsOf(size_t index, double price) const {
  const PricedItem& item = in_.items[index];
  if (item.seconds >= 0) return item.seconds;
  const std::vector<double>& steps = in_.ladder->steps();
  const double bound = price * item.tokens;
  size_t corner = corners_[index];
  while (corner < steps.size() && steps[corner] > bound) ++corner;
  while (corner > 0 && steps[corner - 1] <= bound) --corner;
  corners_[index] = corner;
  const int chosen = std::max(item.lowest, static_cast<int>(corner));
  return in_.ladder->corner(chosen).per_token * item.tokens;
}

double PriceSearch::ClassSeconds(double price) const {
  double sum = 0;
  for (const PricedClass& one : in_.classes) {
    sum += one.rate * Seconds({.tokens = one.tokens}, price);
  }
  return sum;
}

int PriceSearch::Failure(const TimePrice& price, size_t from, bool any) const {
  int failed = kFits;
  double total = 0;
  // What is expected to come and be due by a time t: rate * (t - budget) requests of each class.
  double rate = 0;
  double offset = 0;
  size_t next_class = 0;
  const double class_price = std::min(price.first, price.rest);
  const int all_items = static_cast<int>(in_.items.size());
  if (ClassSeconds(class_price) > in_.speed) return all_items + 1;
  const auto expected = [&](double left) {
    for (; next_class < in_.classes.size() && in_.classes[next_class].budget < left; ++next_class) {
      const PricedClass& one = in_.classes[next_class];
      const double seconds = one.rate * Seconds({.tokens = one.tokens}, class_price);
      rate += seconds;
      offset += seconds * one.budget;
    }
    return rate * left - offset;
  };
  for (size_t i = 0; i < in_.items.size(); ++i) {
    const PricedItem& item = in_.items[i];
    total += SecondsOf(i, price.Of(i));
    if (i < from) continue;
    if (total + expected(item.left) <= in_.speed * item.left) continue;
    failed = static_cast<int>(i);
    if (any) return failed;
  }
  if (in_.tail_requests > 0) {
    const PricedItem one{.tokens = in_.tail.tokens / in_.tail_requests};
    total += in_.tail_requests * Seconds(one, price.rest);
    if (total + expected(in_.tail.left) > in_.speed * in_.tail.left) failed = all_items;
  }
  return failed;
}

double PriceSearch::Lowest(TimePrice price, bool is_rest, double previous, int* failed) const {
  const size_t from = is_rest ? price.boundary + 1 : 0;
  const auto fails_at = [&](double value) {
    price.rest = value;
    if (!is_rest) price.first = value;
    return Failure(price, from, /*any=*/true) != kFits;
  };
  *failed = kFits;
  if (most_ == 0 || !fails_at(0)) return 0;
  double low = least_;
  double high = is_rest ? std::max(price.first, least_) : most_;
  double probe = std::clamp(previous, low, high);
  for (int step = 0; step < kMaxSteps && high > kPrecision * low; ++step) {
    if (!fails_at(probe)) {
      high = probe;
      // The price rarely moves far: look nearby before halving.
      probe = step == 0 ? std::max(probe / kPrecision, low) : std::sqrt(low * high);
    } else {
      low = probe;
      probe = step == 0 ? std::min(probe * kPrecision, high) : std::sqrt(low * high);
    }
  }
  price.rest = low;
  if (!is_rest) price.first = low;
  *failed = Failure(price, from, /*any=*/false);
  return high;
}

TimePrice PriceSearch::Find(const TimePrice& previous) const {
  TimePrice price{.boundary = in_.items.size() + 1};
  int failed = kFits;
  price.first = Lowest(price, /*is_rest=*/false, previous.first, &failed);
  price.rest = price.first;
  if (failed == kFits || static_cast<size_t>(failed) + 1 >= in_.items.size()) return price;
  price.boundary = static_cast<size_t>(failed);
  price.rest = Lowest(price, /*is_rest=*/true, previous.rest, &failed);
  return price;
}

bool PriceSearch::LeavesTime(const TimePrice& price, const std::vector<bool>& taken, double busy,
                             double share) const {
  // What comes meanwhile must not find the time gone either.
  double expected = busy;
  for (const PricedClass& one : in_.classes) {
    expected += one.rate * busy * Seconds({.tokens = one.tokens}, price.first);
    if (expected > share * in_.speed * (one.budget + busy)) return false;
  }
  double total = busy;
  for (size_t i = 0; i < in_.items.size(); ++i) {
    if (taken[i]) continue;
    total += Seconds(in_.items[i], price.Of(i));
    if (total > share * in_.speed * in_.items[i].left) return false;
  }
  if (in_.tail_requests > 0) {
    const PricedItem one{.tokens = in_.tail.tokens / in_.tail_requests};
    total += in_.tail_requests * Seconds(one, price.rest);
    if (total > share * in_.speed * in_.tail.left) return false;
  }
  return true;
}

}  // namespace tailor
