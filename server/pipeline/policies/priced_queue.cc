// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/policies/priced_queue.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace tailor {

PricedItem PricedQueue::ItemOf(const QueueEntry& entry, std::span<const VariantState> variants,
                               const BatchLimits& limits, TimePoint now) const {
  PricedItem item{.tokens = ladder_.Tokens(entry.waiting), .left = ToSeconds(entry.deadline - now)};
  const bool is_free = !entry.is_pinned && entry.waiting.rows == entry.total.rows;
  const bool has_all =
      is_free && !ladder_.levels().empty() && Contains(entry.admissible, ladder_.corner(0).variant);
  if (!has_all) {
    const int corners = static_cast<int>(ladder_.corners().size());
    while (item.lowest < corners &&
           !Contains(entry.admissible, ladder_.corner(item.lowest).variant)) {
      ++item.lowest;
    }
    if (!is_free || item.lowest == corners) {
      const int only = CheapestVariant(variants, entry.admissible, entry.waiting, limits);
      item.seconds =
          only < 0 ? 0
                   : SharedSeconds(variants[static_cast<size_t>(only)].cost, entry.waiting, limits);
    }
  }
  item.least = LeastSeconds(entry, item, variants, limits);
  return item;
}

void PricedQueue::Describe(const QueueSnapshot& queue, std::span<const VariantState> variants,
                           TimePoint now) {
  items_.clear();
  for (const QueueEntry& entry : queue.entries) {
    items_.push_back(ItemOf(entry, variants, queue.limits, now));
  }
}

bool PricedQueue::IsLost(const QueueEntry& entry, const PricedItem& item,
                         std::span<const VariantState> variants, const BatchLimits& limits) const {
  const auto alone = [&](int variant) {
    return AloneSeconds(variants[static_cast<size_t>(variant)].cost, entry.waiting, limits);
  };
  const auto is_usable = [&](int variant) {
    return variant >= 0 && variants[static_cast<size_t>(variant)].is_available &&
           Contains(entry.admissible, variant);
  };
  if (item.seconds < 0) {
    const Ladder::Level& lowest = ladder_.corner(item.lowest);
    // Nearly all: far from lost, and no need to be exact.
    if (item.left > 4 * (lowest.per_token * item.tokens + lowest.cost.fixed * lowest.cost.ratio)) {
      return false;
    }
    if (alone(lowest.variant) <= item.left) return false;
  }
  if (is_usable(entry.cheapest)) return alone(entry.cheapest) > item.left;
  const int cheapest = CheapestVariant(variants, entry.admissible, entry.waiting, limits);
  return cheapest < 0 || alone(cheapest) > item.left;
}

double PricedQueue::LeastSeconds(const QueueEntry& entry, const PricedItem& item,
                                 std::span<const VariantState> variants,
                                 const BatchLimits& limits) const {
  if (item.seconds >= 0) return item.seconds;
  const double lowest = ladder_.corner(item.lowest).per_token * item.tokens;
  // What a request with a minimum quality admits may be no corner: its evaluated quality is above
  // the minimum, its live one below that of a variant that costs no more.
  const bool has_other = item.lowest > 0 && entry.cheapest >= 0 &&
                         Contains(entry.admissible, entry.cheapest) &&
                         variants[static_cast<size_t>(entry.cheapest)].is_available;
  if (!has_other) return lowest;
  const CostCoefficients& cost = variants[static_cast<size_t>(entry.cheapest)].cost;
  return std::min(lowest, SharedSeconds(cost, entry.waiting, limits));
}

size_t PricedQueue::Victim(const QueueSnapshot& queue, size_t end) const {
  size_t victim = end - 1;
  for (size_t i = 0; i < end; ++i) {
    const QueueEntry& entry = queue.entries[i];
    // What runs already is finished.
    if (given_up_[i] || entry.waiting.rows < entry.total.rows) continue;
    const QueueEntry& other = queue.entries[victim];
    if (std::pair(-entry.priority, items_[i].least) >
        std::pair(-other.priority, items_[victim].least)) {
      victim = i;
    }
  }
  return victim;
}

std::vector<int> PricedQueue::GiveUp(const QueueSnapshot& queue,
                                     std::span<const VariantState> variants) {
  given_up_.assign(queue.entries.size(), false);
  double total = 0;
  for (size_t i = 0; i < queue.entries.size(); ++i) {
    if (IsLost(queue.entries[i], items_[i], variants, queue.limits)) {
      given_up_[i] = true;
      continue;
    }
    total += items_[i].least;
    while (total > items_[i].left * queue.num_workers) {
      const size_t victim = Victim(queue, i + 1);
      const bool has_begun = queue.entries[victim].waiting.rows < queue.entries[victim].total.rows;
      if (has_begun || given_up_[victim]) break;
      given_up_[victim] = true;
      total -= items_[victim].least;
    }
  }
  std::vector<int> hopeless;
  for (size_t i = 0; i < queue.entries.size(); ++i) {
    if (!given_up_[i]) continue;
    hopeless.push_back(static_cast<int>(i));
    items_[i] = {.left = std::numeric_limits<double>::infinity(), .seconds = 0};
  }
  return hopeless;
}

}  // namespace tailor
