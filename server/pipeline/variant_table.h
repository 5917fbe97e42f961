// SPDX-License-Identifier: Apache-2.0
// What is known of each variant while the server runs: its cost, how that cost has lately been
// off, and whether it works.
#pragma once

#include <span>
#include <vector>

#include "absl/base/thread_annotations.h"

#include "base/clock.h"
#include "base/mutex.h"
#include "server/pipeline/ranker.h"
#include "server/pipeline/selector.h"
#include "server/telemetry/quality_window.h"
#include "server/telemetry/recorder.h"
#include "server/telemetry/window.h"

namespace tailor {

// Thread-safe.
class VariantTable {
 public:
  // Failures in a row after which a variant rests. It is tried again after the first rest; each
  // further failure doubles the rest, up to the longest, and a success ends the count.
  static constexpr int kMaxFailures = 3;
  static constexpr Duration kFirstRest = std::chrono::seconds(10);
  static constexpr Duration kLongestRest = std::chrono::minutes(10);
  // Reviews are rare, and reading what they found takes time.
  static constexpr Duration kQualityPeriod = std::chrono::milliseconds(100);

  // `served` and `recorder` outlive it. Nothing is available until SetCost.
  VariantTable(std::span<const ServedVariant> served, Recorder* recorder,
               const LiveQualityOptions& live_quality);

  void SetCost(int variant, const CostCoefficients& fitted, TimePoint now);
  // It did not even get through the warm-up of some worker: it stays unavailable.
  void SetBroken(int variant);

  // Reads the recorder, so that the ratios are those of what it has seen until now, and qualities
  // of what it had seen at most kQualityPeriod ago. A variant whose rest is over is available
  // again.
  std::vector<VariantState> States(TimePoint now);

  // How a batch ended.
  void OnBatch(int variant, bool ok, TimePoint now);

  // By measured cost and known quality; one a variant.
  std::vector<bool> OnLadder(TimePoint now);

 private:
  struct Row {
    VariantState state;
    int failures = 0;  // in a row
    bool is_broken = false;
    Duration rest{};        // the last one's length; zero before the first
    TimePoint rest_ends{};  // while it is quarantined
  };

  void Quarantine(int variant, TimePoint now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The end of its rest, if that has come.
  void TryAgain(int variant, TimePoint now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void UpdateQualities(TimePoint now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ShowPrediction(int variant) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::span<const ServedVariant> served_;
  Recorder* const recorder_;
  Mutex mutex_;
  std::vector<Row> rows_ ABSL_GUARDED_BY(mutex_);
  CostWindow window_ ABSL_GUARDED_BY(mutex_);
  QualityWindow qualities_ ABSL_GUARDED_BY(mutex_);
  TimePoint qualities_read_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tailor
