// SPDX-License-Identifier: Apache-2.0
// Variant selection of INFaaS (Romero et al., ATC 2021), for one worker that has every variant
// loaded. A query has b inputs and a latency bound L, and is bound to a variant when it arrives;
// lat(variant, b) = slope * b + intercept. Our request is a query of as many inputs as it has rows,
// of the mean length; L is its budget, its minimum quality their accuracy bound.
#pragma once

#include <span>
#include <vector>

#include "server/pipeline/policies/quality_policy.h"
#include "server/pipeline/policies/queries.h"

namespace tailor {

// Binds at arrival, and runs together what waits for the variant of the earliest deadline as far
// as that deadline allows.
class InfaasPolicy : public QualityPolicy {
 public:
  int OnArrival(const QueueEntry& entry, std::span<const VariantState> variants,
                TimePoint now) override;
  Selection Select(const QueueSnapshot& queue, std::span<const VariantState> variants,
                   TimePoint now) override;

 protected:
  virtual int Bind(const QueueEntry& entry, std::span<const VariantState> variants,
                   TimePoint now) = 0;

  // lat(variant, rows of the entry).
  double Latency(const VariantState& variant, const QueueEntry& entry) const;

 private:
  double mean_length_ = 0;
};

// Without accuracy bounds INFaaS takes the variant of the least cost; SuperServe compares itself
// with that (section 6, confirmed by the authors of INFaaS). The least cost is the least time.
class InfaasMinCostPolicy final : public InfaasPolicy {
 protected:
  int Bind(const QueueEntry& entry, std::span<const VariantState> variants, TimePoint now) override;
};

// Its rule for a query with a latency bound: of the variants that keep the bound, the slowest.
// A variant is blacklisted, judged once a second, when it is seen to take a multiple of its
// profile at more than its rate, or has more waiting than it works off in a second; it returns
// when it takes less than 1.5 times its profile. When every variant that fits is blacklisted,
// each tenth query goes to the one that would have been taken, the others to the fastest. (The
// paper draws at random; a counter keeps runs repeatable.)
class InfaasSlowestFitPolicy final : public InfaasPolicy {
 public:
  void OnBatchDone(const BatchOutcome& outcome, TimePoint now) override;
  Selection Select(const QueueSnapshot& queue, std::span<const VariantState> variants,
                   TimePoint now) override;

  bool IsBlacklisted(int variant) const;

 protected:
  int Bind(const QueueEntry& entry, std::span<const VariantState> variants, TimePoint now) override;

 private:
  // The constants of its code for CPU workers with one replica.
  static constexpr double kSlow = 4;         // times the profile
  static constexpr double kBusy = 1;         // times the rate 1 / profile
  static constexpr double kWaiting = 1.1;    // seconds of work
  static constexpr double kRecovered = 1.5;  // times the profile
  static constexpr int kProbeEvery = 10;

  struct Seen {
    double latency = 0;  // sums over the requests of the period, from arrival to answer
    double profile = 0;
    bool is_blacklisted = false;
  };

  void Judge(const QueueSnapshot& queue, std::span<const VariantState> variants, double period);

  std::vector<Seen> seen_;
  std::vector<CostCoefficients> costs_;  // as profiled
  TimePoint judged_;
  int crowded_out_ = 0;
};

}  // namespace tailor
