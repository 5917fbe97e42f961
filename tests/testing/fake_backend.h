// SPDX-License-Identifier: Apache-2.0
// An engine without arithmetic: it takes as long as its cost model says, on a clock that tests
// move, and its scores follow from the tokens.
#pragma once

#include <atomic>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "engine/api/backend.h"
#include "tests/testing/manual_clock.h"

namespace tailor {

// seconds = fixed + per_token * tokens + per_square * sum(length^2) + per_row * rows
struct FakeCost {
  double fixed = 0;
  double per_token = 0;
  double per_square = 0;
  double per_row = 0;
  int num_outputs = 1;
  float score_sign = 1;  // -1: the opposite order
};

// Run belongs to one thread; the rest may be called from any.
class FakeBackend final : public Backend {
 public:
  struct RunRecord {
    int variant = 0;
    int rows = 0;
    int tokens = 0;
    std::vector<int32_t> second_tokens;  // of each row: the first one behind [CLS]
  };

  // One cost a variant. `clock` is advanced by each Run; null: Run takes no time.
  FakeBackend(std::vector<FakeCost> costs, const BatchLimits& limits, ManualClock* clock);

  const BackendInfo& info() const override { return info_; }
  absl::StatusOr<LoadedCut> Load(const ModelPackage& package) override;
  absl::Status Run(Cut cut, const Batch& batch, std::span<float> outputs) override;

  // The score of a sequence, whatever the batch and the variant: output k of it is this plus k,
  // times the variant's sign.
  static float ScoreOf(std::span<const int32_t> ids);

  // Every Run takes this many times as long from now on.
  void set_slowdown(double factor) { slowdown_ = factor; }
  // The next `count` runs of that variant fail, after their time.
  void FailNext(int variant, int count);
  // From the next Run on all fail as Unavailable, at once.
  void LoseDevice() { is_lost_ = true; }
  // The next Run finds too little memory for that many tokens: it succeeds, and later ones may hold
  // no more.
  void LowerMaxTokens(int max_tokens) { lower_to_ = max_tokens; }
  // Called at the start of every Run, before time passes.
  void set_on_run(std::function<void()> hook) { on_run_ = std::move(hook); }

  std::vector<RunRecord> runs() const;
  // Runs after LoseDevice.
  int num_lost_runs() const { return num_lost_runs_; }
  void ClearRuns();

 private:
  const std::vector<FakeCost> costs_;
  BackendInfo info_;
  ManualClock* const clock_;
  std::atomic<double> slowdown_{1};
  std::atomic<bool> is_lost_{false};
  std::atomic<int> num_lost_runs_{0};
  std::atomic<int> lower_to_{std::numeric_limits<int>::max()};
  std::function<void()> on_run_;
  int num_loaded_ = 0;

  mutable Mutex mutex_;
  std::vector<int> failures_ ABSL_GUARDED_BY(mutex_);
  std::vector<RunRecord> runs_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tailor
