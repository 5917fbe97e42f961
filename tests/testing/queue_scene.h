// SPDX-License-Identifier: Apache-2.0
// A queue and variants as a policy sees them, for tests; times in ms.
#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "server/pipeline/selector.h"

namespace tailor {

inline constexpr TimePoint kSceneStart{std::chrono::hours(1)};

// Not thread-safe. Entries have rows of one length. The policy lives as long as the scene.
class QueueScene {
 public:
  struct Entry {
    int rows = 1;
    int tokens = 100;
    double left_ms = 1000;
    VariantSet admissible = AllVariants();
    bool is_pinned = false;
    double waited_ms = 0;
    int priority = 0;
  };

  explicit QueueScene(std::string policy = "tailored") : policy_(std::move(policy)) {}

  // A variant of 1 ms for 100 tokens times `cost`, and `fixed_ms` a batch.
  QueueScene& Variant(std::optional<double> quality, double cost, bool is_available = true,
                      double fixed_ms = 0) {
    variants_.push_back({.is_available = is_available,
                         .quality = quality,
                         .cost = {.fixed = fixed_ms * 1e-3, .per_token = cost * 1e-5}});
    return *this;
  }

  // A request that the load did not let in.
  QueueScene& Refuse(const Entry& options) {
    selector().OnRefused(Make(options), now_);
    return *this;
  }

  // Variants come before entries: the policy is told of each arrival.
  QueueScene& Add(const Entry& options) {
    QueueEntry entry = Make(options);
    if (announces) entry.assigned = selector().OnArrival(entry, variants_, now_);
    const auto place = std::upper_bound(
        entries_.begin(), entries_.end(), entry,
        [](const QueueEntry& a, const QueueEntry& b) { return a.deadline < b.deadline; });
    entries_.insert(place, entry);
    return *this;
  }

  Selection Select() { return selector().Select(Snapshot(), variants_, now_); }

  // Forgets what a selection took or gave up, and moves on to the end of its batch.
  void Apply(const Selection& selection) {
    for (const Portion& portion : selection.portions) {
      QueueEntry& entry = entries_[static_cast<size_t>(portion.entry)];
      for (int i = 0; i < portion.rows; ++i)
        entry.waiting.Remove(entry.lengths[static_cast<size_t>(i)]);
      entry.lengths = entry.lengths.subspan(static_cast<size_t>(portion.rows));
      entry.admissible = OneVariant(selection.variant);
      entry.cheapest = selection.variant;
    }
    for (const int index : selection.hopeless) entries_[static_cast<size_t>(index)].lengths = {};
    std::erase_if(entries_, [](const QueueEntry& entry) { return entry.lengths.empty(); });
    now_ += FromSeconds(selection.predicted_seconds);
  }

  void Advance(double ms) { now_ += FromSeconds(ms * 1e-3); }

  QueueSnapshot Snapshot() const {
    return {.entries = entries_, .limits = limits, .num_workers = 1, .safety = safety, .tail = {}};
  }

  Selector& selector() {
    if (selector_ == nullptr) {
      std::vector<std::string> ids;
      for (size_t i = 0; i < variants_.size(); ++i) {
        ids.emplace_back(1, static_cast<char>('a' + static_cast<int>(i)));
      }
      auto made = MakeSelector(policy_, ids);
      EXPECT_TRUE(made.ok()) << made.status();
      selector_ = *std::move(made);
    }
    return *selector_;
  }

  const std::vector<QueueEntry>& entries() const { return entries_; }
  std::vector<VariantState>& variants() { return variants_; }
  TimePoint now() const { return now_; }

  BatchLimits limits;
  double safety = 1;
  // Whether the policy is told of arrivals; without, it has nothing to expect more of.
  bool announces = true;

 private:
  QueueEntry Make(const Entry& options) {
    lengths_.emplace_back(static_cast<size_t>(options.rows), options.tokens);
    QueueEntry entry;
    entry.id = next_id_++;
    entry.arrival = now_ - FromSeconds(options.waited_ms * 1e-3);
    entry.deadline = now_ + FromSeconds(options.left_ms * 1e-3);
    entry.priority = options.priority;
    entry.is_pinned = options.is_pinned;
    entry.admissible = options.admissible;
    for (const int32_t length : lengths_.back()) entry.total.Add(length);
    entry.waiting = entry.total;
    entry.lengths = lengths_.back();
    entry.cheapest = CheapestVariant(variants_, entry.admissible, entry.waiting, limits);
    return entry;
  }

  const std::string policy_;
  std::unique_ptr<Selector> selector_;
  TimePoint now_ = kSceneStart;
  uint64_t next_id_ = 0;
  std::deque<std::vector<int32_t>> lengths_;
  std::vector<QueueEntry> entries_;
  std::vector<VariantState> variants_;
};

// (entry, rows) of each portion.
inline std::vector<std::pair<int, int>> PortionsOf(const Selection& selection) {
  std::vector<std::pair<int, int>> portions;
  portions.reserve(selection.portions.size());
  for (const Portion& portion : selection.portions) {
    portions.emplace_back(portion.entry, portion.rows);
  }
  return portions;
}

}  // namespace tailor
