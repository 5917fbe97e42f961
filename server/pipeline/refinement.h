// SPDX-License-Identifier: Apache-2.0
// Second passes of cascades: requests whose documents are all scored, and whose best documents are
// scored again by a better variant while time is left. Such a request has an answer from its first
// pass on, and must not lose it to a batch that ends late.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "server/pipeline/cascade.h"
#include "server/pipeline/current_limits.h"
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
  RefinementList(const CurrentLimits& limits, Duration reply_margin)
      : limits_(limits), reply_margin_(reply_margin) {}

  // Requests that wait for a batch of their second pass.
  bool empty() const { return waiting_.empty(); }
  size_t size() const { return waiting_.size(); }

  // A request whose first pass is complete: the order of its documents is known.
  void Begin(const PendingPtr& pending);
  // After a batch of its second pass.
  void Continue(const PendingPtr& pending);
  void Remove(const PendingRequest& pending);

  // The request of the earliest deadline for which a row is in time, which is running until
  // Continue or Remove; its best rows that are, in a batch of at most `most_seconds`. Those before
  // it, for which none is, go to `done`. `safety`: predicted times are multiplied by this before
  // they meet a deadline.
  std::optional<RefinementBatch> Cut(double most_seconds, double safety,
                                     std::span<const VariantState> variants, TimePoint now,
                                     std::vector<PendingPtr>* done);
  // Moves those to `done` that could score nothing more if they waited that long.
  void TakeLate(double seconds, double safety, std::span<const VariantState> variants,
                TimePoint now, std::vector<PendingPtr>* done);
  // Those that wait.
  void TakeAll(std::vector<PendingPtr>* done);

  // When the first of all, waiting or running, has to be answered with what it has.
  std::optional<TimePoint> NextDue() const;
  // Moves those to `done` that have to be answered now.
  void TakeDue(TimePoint now, std::vector<PendingPtr>* done);

 private:
  using Key = std::pair<TimePoint, uint64_t>;  // deadline, order of arrival
  using Items = std::map<Key, PendingPtr>;

  static Key KeyOf(const PendingRequest& pending) {
    return {pending.request.deadline, pending.sequence};
  }
  RefinementBatch Fill(const PendingPtr& pending, std::span<const VariantState> variants,
                       double seconds_left, double most_seconds, double safety) const;
  TimePoint DueTime(const PendingRequest& pending) const {
    return pending.request.deadline - reply_margin_;
  }
  double SecondsLeft(const PendingRequest& pending, TimePoint now) const {
    return ToSeconds(DueTime(pending) - now);
  }

  const CurrentLimits limits_;
  const Duration reply_margin_;
  Items waiting_;
  Items running_;  // a batch of theirs is
};

// Puts both passes into the answer: outputs on the common scale, order, who scored what. Documents
// that were scored twice stand above the others: these were left out because they were worse, and
// a request that gets more time then never gets a worse order by it. Nothing to do when no
// document was scored twice: the load took the time of the second pass.
void MergePasses(const PendingRequest& pending, const CascadeTable& table, Answer* answer);

}  // namespace tailor
