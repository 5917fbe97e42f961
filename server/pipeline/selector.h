// SPDX-License-Identifier: Apache-2.0
// Which variant the next batch runs with, and which requests are in it: a pure function, so that
// the server and a simulator run the same code.
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

namespace tailor {

// One bit a variant.
using VariantSet = uint64_t;
inline constexpr int kMaxVariants = 64;
constexpr VariantSet OneVariant(int variant) { return VariantSet{1} << variant; }
constexpr bool Contains(VariantSet set, int variant) { return (set & OneVariant(variant)) != 0; }

// A variant as the selector sees it.
struct VariantState {
  bool is_available = true;  // false: quarantined
  std::optional<double> quality;
  CostCoefficients cost;  // its ratio is the recent one
};

// A request that waits, or the rest of one.
struct QueueEntry {
  TimePoint arrival;
  TimePoint deadline;  // when the engine must be done: the reply's margin is taken off
  int priority = 0;
  bool is_pinned = false;
  VariantSet admissible =
      0;              // by kind, pin and quality; one of which rows ran already: that variant
  int cheapest = -1;  // of the admissible ones, when it was queued
  WorkShape total;    // the whole request
  WorkShape waiting;  // what has not been taken yet
  std::span<const int32_t> lengths;  // [waiting.rows] tokens of each row, in order
};

struct QueueSnapshot {
  std::span<const QueueEntry> entries;  // earliest deadline first, none of them passed
  BatchLimits limits;
  int num_workers = 1;
  double safety = 1;  // predicted times are multiplied by this before they meet a deadline
};

// The first `rows` waiting rows of an entry.
struct Portion {
  int entry = 0;
  int rows = 0;
};

struct Selection {
  int variant = -1;  // -1: nothing to run
  int sub_network = 0;
  std::vector<Portion> portions;  // at most one an entry, in the order of the entries
  double predicted_seconds = 0;   // of this batch, without the safety factor
  SelectionReason reason = SelectionReason::kFit;  // of the first portion's request
  // Entries that no admissible variant can answer in time any more: give them up.
  std::vector<int> hopeless;
};

// Stateless and thread-safe. No clock, no lock, no thread inside.
class Selector {
 public:
  virtual ~Selector() = default;

  // What a request without a pin may run with.
  virtual VariantSet Choosable(std::span<const VariantState> variants) const = 0;

  // The batch that a free worker should run next. Linear in the entries for each variant.
  virtual Selection Select(const QueueSnapshot& queue, std::span<const VariantState> variants,
                           TimePoint now) const = 0;

  // Why `entry` got `variant`.
  virtual SelectionReason Reason(const QueueEntry& entry, int variant, const QueueSnapshot& queue,
                                 std::span<const VariantState> variants) const = 0;
};

// "tailored" or "fixed:ID" with one of `ids`. InvalidArgument names the nearest policy.
absl::StatusOr<std::unique_ptr<Selector>> MakeSelector(std::string_view policy,
                                                       std::span<const std::string> ids);

// The available ones of a set, best quality first; unknown quality last, cheaper first among
// equals (by the cost of `work`).
std::vector<int> ByQuality(std::span<const VariantState> variants, VariantSet set,
                           const WorkShape& work);

// The available one that runs `work` alone in the least time; -1 when there is none.
int CheapestVariant(std::span<const VariantState> variants, VariantSet set, const WorkShape& work,
                    const BatchLimits& limits);

// The best one that runs `work` alone within `seconds`, safety included; -1 when there is none.
int BestInTime(std::span<const VariantState> variants, VariantSet set, const WorkShape& work,
               const BatchLimits& limits, double safety, double seconds);

}  // namespace tailor
