// SPDX-License-Identifier: Apache-2.0
// Whether a request is taken, and if not, why and what would help. Pure functions of the load.
#pragma once

#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "server/pipeline/batch_queue.h"
#include "server/pipeline/ranker.h"

namespace tailor {

// What a request may run with by its kind, pin and minimum quality, whatever its length.
// `choosable`: the selector's, without a pin. Refuses as kUnknownVariant with the nearest name,
// kUnsupportedOutput, or kQualityInfeasible when no variant is that good.
absl::StatusOr<VariantSet> AdmissibleVariants(const Request& request,
                                              std::span<const ServedVariant> served,
                                              VariantSet choosable);

// What a request needs, once its length is known or assumed.
struct Demand {
  TimePoint arrival;
  TimePoint deadline;
  int priority = 0;
  VariantSet admissible;
  VariantSet any_quality;  // what would be admissible without a minimum quality
  WorkShape work;
  Duration spent{};  // before it could be queued, load apart
};

struct Verdict {
  absl::Status status;
  int cheapest = -1;  // the variant that the request counts with in the backlog
};

class Admission {
 public:
  // `served` outlives it.
  Admission(const RankerOptions& options, const CurrentLimits& limits,
            std::span<const ServedVariant> served)
      : options_(options), limits_(limits), served_(served) {}

  // Before tokenising, by number alone: the bounds of the queue, and a backlog that leaves no time.
  // demand.work is an estimate.
  absl::Status JudgeArrival(const Demand& demand, const QueueLoad& load,
                            std::span<const VariantState> variants, TimePoint now) const;

  // After it: what an idle server could do, then the load.
  Verdict JudgeIdle(const Demand& demand, std::span<const VariantState> variants) const;
  absl::Status JudgeLoad(const Demand& demand, int cheapest, const QueueLoad& load,
                         std::span<const VariantState> variants, TimePoint now) const;

  // The least budget that an idle server answers within.
  Duration SmallestBudget(const Demand& demand, int variant,
                          std::span<const VariantState> variants) const;
  // Seconds before the engine is free for a request of that deadline.
  double WaitSeconds(TimePoint deadline, int priority, const QueueLoad& load,
                     std::span<const VariantState> variants) const;

 private:
  absl::Status JudgeBounds(int priority, int64_t tokens, const QueueTotals& waiting,
                           double retry_seconds) const;
  absl::Status InfeasibleBudget(const Demand& demand, int cheapest,
                                std::span<const VariantState> variants) const;
  absl::Status InfeasibleQuality(const Demand& demand, int cheapest, int instead,
                                 std::span<const VariantState> variants) const;
  // What predictions of work that has not begun are multiplied by before they meet a deadline.
  // (What runs was predicted with the backstop's factor.)
  double Guard(const QueueLoad& load) const { return options_.safety * load.backstop_factor; }
  // How long a request of that priority may wait when it could wait `seconds`. A batch that runs is
  // no queue, and who waits for it takes nobody's share.
  double Allowed(int priority, const QueueLoad& load, double seconds) const;
  bool WouldMakeLate(const Demand& demand, double wait, double own, const QueueLoad& load,
                     std::span<const VariantState> variants, TimePoint now) const;
  const std::string& IdOf(int variant) const { return served_[static_cast<size_t>(variant)].id; }

  const RankerOptions options_;
  const CurrentLimits limits_;
  const std::span<const ServedVariant> served_;
};

}  // namespace tailor
