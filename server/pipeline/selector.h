// SPDX-License-Identifier: Apache-2.0
// Which variant the next batch runs with, and which requests are in it: the interface of all
// policies. No clock, no lock, no thread inside, so that the server and a simulator run the same
// code.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

#include "base/clock.h"
#include "engine/api/batch.h"
#include "server/pipeline/cost_model.h"
#include "server/pipeline/request.h"
#include "server/pipeline/variant_set.h"

namespace tailor {

// A variant as the selector sees it.
struct VariantState {
  bool is_available = true;  // false: quarantined
  std::optional<double> quality;
  CostCoefficients cost;  // its ratio is the recent one
};

// A request that waits, or the rest of one.
struct QueueEntry {
  uint64_t id = 0;  // of the request; in order of arrival in the queue
  TimePoint arrival;
  TimePoint deadline;  // when the engine must be done: the reply's margin is taken off
  int priority = 0;
  bool is_pinned = false;
  VariantSet admissible;  // by kind, pin and quality; one of which rows ran already: that variant
  int cheapest = -1;      // of the admissible ones, when it was queued
  int assigned = -1;      // what Selector::OnArrival returned
  WorkShape total;        // the whole request
  WorkShape waiting;      // what has not been taken yet
  std::span<const int32_t> lengths;  // [waiting.rows] tokens of each row, in order
};

// What waits behind the entries of a snapshot, all with later deadlines.
struct QueueTail {
  int requests = 0;
  WorkShape waiting;
  TimePoint last_deadline;  // of all; the queue's last
};

struct QueueSnapshot {
  std::span<const QueueEntry> entries;  // earliest deadline first, none of them passed
  BatchLimits limits;
  int num_workers = 1;
  double safety = 1;  // predicted times are multiplied by this before they meet a deadline
  QueueTail tail;
  double fullness = 0;  // of the queue's bounds, the part that is used up: 1 is full
};

// The first `rows` waiting rows of an entry.
struct Portion {
  int entry = 0;
  int rows = 0;
};

struct Selection {
  int variant = -1;  // -1: nothing to run now
  int sub_network = 0;
  std::vector<Portion> portions;  // at most one an entry, in the order of the entries
  double predicted_seconds = 0;   // of this batch, without the safety factor
  SelectionReason reason = SelectionReason::kFit;  // of the first portion's request
  // Entries that no admissible variant can answer in time any more: give them up.
  std::vector<int> hopeless;
  // With no variant: ask again then, or at the next arrival, whichever comes first. Absent: at the
  // next arrival.
  std::optional<TimePoint> wait_until;
};

// How a batch ended.
struct BatchOutcome {
  int variant = -1;
  WorkShape work;
  double predicted_seconds = 0;
  double seconds = 0;          // of the engine
  int completed = 0;           // requests that are whole now
  int late = 0;                // of these, those past their deadline
  double latency_seconds = 0;  // from arrival until now, summed over the completed
  WorkShape completed_work;    // all of their rows
};

// One object a queue, which calls it under its lock; only Choosable may be called by anyone at any
// time. Policies may keep state, but know of time only what they are told. The variants are always
// the same ones in the same order; what changes is their state.
class Selector {
 public:
  virtual ~Selector() = default;

  // What a request without a pin may run with.
  virtual VariantSet Choosable(std::span<const VariantState> variants) const = 0;

  // A request was queued. A policy that decides at arrival returns the variant, which then stands
  // in `assigned`; -1: later.
  virtual int OnArrival(const QueueEntry& /*entry*/, std::span<const VariantState> /*variants*/,
                        TimePoint /*now*/) {
    return -1;
  }

  // A request was refused because of the load. It will not wait, but it was asked for: a policy
  // that plans for the demand would otherwise see less of it the more is refused. Of a request that
  // was not tokenised yet, the work is an estimate and `lengths` is empty.
  virtual void OnRefused(const QueueEntry& /*entry*/, TimePoint /*now*/) {}

  // A batch that ran has ended.
  virtual void OnBatchDone(const BatchOutcome& /*outcome*/, TimePoint /*now*/) {}

  // The batch that a free worker should run next.
  virtual Selection Select(const QueueSnapshot& queue, std::span<const VariantState> variants,
                           TimePoint now) = 0;

  // Why `entry` got `variant` in the selection that was made last.
  virtual SelectionReason Reason(const QueueEntry& entry, int variant, const QueueSnapshot& queue,
                                 std::span<const VariantState> variants) const = 0;
};

// The policy of that name, e.g. "tailored" or "fixed:ID" with one of `ids`; see
// server/pipeline/policies/registry.h for all. InvalidArgument lists them and names the nearest.
absl::StatusOr<std::unique_ptr<Selector>> MakeSelector(std::string_view policy,
                                                       std::span<const std::string> ids);

// The available ones of a set, best quality first; unknown quality last, cheaper first among
// equals (by the cost of `work`).
std::vector<int> ByQuality(std::span<const VariantState> variants, const VariantSet& set,
                           const WorkShape& work);

// The available one that runs `work` alone in the least time; -1 when there is none.
int CheapestVariant(std::span<const VariantState> variants, const VariantSet& set,
                    const WorkShape& work, const BatchLimits& limits);

// The best one that runs `work` alone within `seconds`, safety included; -1 when there is none.
int BestInTime(std::span<const VariantState> variants, const VariantSet& set, const WorkShape& work,
               const BatchLimits& limits, double safety, double seconds);

}  // namespace tailor
