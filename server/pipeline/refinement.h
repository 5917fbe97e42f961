// SPDX-License-Identifier: Apache-2.0
// Second passes of cascades: requests whose documents are all scored, and whose best documents are
// scored again by a better variant while time is left.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "server/pipeline/cascade.h"
#include "server/pipeline/pending_request.h"

namespace tailor {

// Rows of one request for its second variant.
struct RefinementBatch {
  PendingPtr pending;
  int first = 0;  // into Refinement::order
  int rows = 0;
  WorkShape work;
  double seconds = 0;  // as predicted
};

// Not thread-safe: guarded by the queue's lock.
class RefinementList {
 public:
  RefinementList(const BatchLimits& limits, Duration reply_margin)
      : limits_(limits), reply_margin_(reply_margin) {}

  bool empty() const { return items_.empty(); }
  size_t size() const { return items_.size(); }

  // A request whose first pass is complete: the order of its documents is known.
  void Begin(const PendingPtr& pending);
  // After a batch of its second pass.
  void Continue(const PendingPtr& pending) { items_.emplace(KeyOf(*pending), pending); }
  void Remove(const PendingRequest& pending) { items_.erase(KeyOf(pending)); }

  // Takes the request of the earliest deadline for which a row is in time; its best rows that are,
  // in a batch of at most `most_seconds`. Those before it, for which none is, go to `done`.
  // `safety`: predicted times are multiplied by this before they meet a deadline.
  std::optional<RefinementBatch> Cut(double most_seconds, double safety,
                                     std::span<const VariantState> variants, TimePoint now,
                                     std::vector<PendingPtr>* done);
  // Moves those to `done` that could score nothing more if they waited that long.
  void TakeLate(double seconds, double safety, std::span<const VariantState> variants,
                TimePoint now, std::vector<PendingPtr>* done);
  void TakeAll(std::vector<PendingPtr>* done);

 private:
  using Key = std::pair<TimePoint, uint64_t>;  // deadline, order of arrival

  static Key KeyOf(const PendingRequest& pending) {
    return {pending.request.deadline, pending.sequence};
  }
  RefinementBatch Fill(const PendingPtr& pending, std::span<const VariantState> variants,
                       double seconds_left, double most_seconds, double safety) const;
  double SecondsLeft(const PendingRequest& pending, TimePoint now) const {
    return ToSeconds(pending.request.deadline - reply_margin_ - now);
  }

  const BatchLimits limits_;
  const Duration reply_margin_;
  std::map<Key, PendingPtr> items_;
};

// Puts both passes into the answer: outputs on the common scale, order, who scored what. Documents
// that were scored twice stand above the others: these were left out because they were worse, and
// a request that gets more time then never gets a worse order by it. Nothing to do when no
// document was scored twice: the load took the time of the second pass.
void MergePasses(const PendingRequest& pending, const CascadeTable& table, Answer* answer);

}  // namespace tailor
