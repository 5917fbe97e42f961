// SPDX-License-Identifier: Apache-2.0
// The most quality in time for the queue as it is, and for what is expected to join it.
//
// 1. What cannot be answered in time any more is given up at once. If even the cheapest variants
//    cannot serve all that wait, the least important are given up, of these the largest, until the
//    rest can (Moore and Hodgson's rule).
// 2. A price of the engine's time follows from the deadlines, sizes and what is expected to come
//    (time_price.h). At that price every request has a level of the ladder that is worth its time.
//    The price is at least what a second saves of those who are about to come and would be refused
//    (expected_demand.h): whoever was refused counts as demand too.
// 3. The earliest deadline begins the batch. Levels are compared by the quality that the batch
//    gains less the price of its time and less what it would make of newcomers with short budgets
//    miss theirs. Others join for whom that level is worth its time, so urgent neighbours do not
//    cost anyone quality, and as long as no deadline in the batch is missed.
// 4. If everyone behind keeps a reserve, the next better level is taken: an idle moment is used.
//
// The price rises at once and falls slowly, so that choices do not flap. A variant whose recent
// ratio keeps it from being chosen is probed now and then with one request that can afford it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "server/pipeline/policies/expected_demand.h"
#include "server/pipeline/policies/ladder.h"
#include "server/pipeline/policies/priced_queue.h"
#include "server/pipeline/policies/quality_policy.h"
#include "server/pipeline/policies/time_price.h"

namespace tailor {

class TailoredPolicy : public QualityPolicy {
 public:
  int OnArrival(const QueueEntry& entry, std::span<const VariantState> variants,
                TimePoint now) override;
  void OnRefused(const QueueEntry& entry, TimePoint now) override;
  Selection Select(const QueueSnapshot& queue, std::span<const VariantState> variants,
                   TimePoint now) override;
  SelectionReason Reason(const QueueEntry& entry, int variant, const QueueSnapshot& queue,
                         std::span<const VariantState> variants) const override;

 private:
  // A batch of one variant that could run now.
  struct Draft {
    int variant = -1;
    int level = -1;  // of the ladder; -1: not on it
    std::vector<Portion> portions;
    WorkShape work;
    double seconds = 0;
    double finish = 0;       // of the last request in it, all its rows
    double gain = 0;         // quality beyond what its requests would gain on their own
    double answers = 0;      // requests, parts counted as parts
    bool is_in_time = true;  // the first one's finish, with the safety factor
  };

  // One decision.
  struct Scene {
    const QueueSnapshot& queue;
    std::span<const VariantState> variants;
    TimePoint now;
    size_t head = 0;
    double refusal_price = 0;  // a second, of those who are about to come
  };

  double RefusalPrice(const QueueSnapshot& queue, std::span<const PricedItem> items) const;
  // What it costs those about to come that a request which the batch does not finish keeps its
  // variant until its end.
  double CommitmentCost(const Scene& scene, const Draft& draft) const;
  TimePrice FindPrice(const PriceSearch& search, TimePoint now);
  bool MayJoin(const QueueEntry& entry, size_t index, const Draft& draft,
               const CostCoefficients& cost, const TimePrice& price) const;
  Draft Fill(const Scene& scene, int variant, int level, const TimePrice& price) const;
  void Learn(const Scene& scene, const Draft& draft);
  double Score(const Draft& draft, const TimePrice& price) const;
  Draft Choose(const Scene& scene, const PriceSearch& search, const TimePrice& price) const;
  std::optional<Draft> Upgrade(const Scene& scene, const PriceSearch& search,
                               const TimePrice& price, const Draft& draft) const;
  std::optional<Draft> Probe(const Scene& scene, const Draft& draft, const TimePrice& price);

  Ladder ladder_;
  ExpectedDemand demand_;
  PricedQueue queue_{&ladder_};
  TimePrice found_price_;
  double last_price_ = 0;  // of the first item, with the slow fall
  TimePoint last_price_at_;
  double excess_ = 1;  // cost of batches against the ladder's, while others were left behind
  std::vector<TimePoint> last_run_;  // one a variant
  TimePoint last_probe_;
  uint64_t last_head_ = 0;  // id of the last selection's first request
  SelectionReason last_kind_ = SelectionReason::kFit;
};

}  // namespace tailor
