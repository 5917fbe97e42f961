// SPDX-License-Identifier: Apache-2.0
// An engine without arithmetic: a batch takes what the profile says, on a virtual clock.
#pragma once

#include <functional>

#include "engine/api/backend.h"
#include "server/simulator/engine_noise.h"
#include "server/simulator/profile.h"
#include "server/simulator/virtual_clock.h"

namespace tailor {

// What the engine has done since the run began; warm-up is not counted.
struct EngineTotals {
  int64_t batches = 0;
  int64_t tokens = 0;
  double busy_seconds = 0;
};

// One owner, one thread.
class SimulatedBackend final : public Backend {
 public:
  // Called at the start of a batch with its end; what happens meanwhile is the callee's business.
  using DuringRun = std::function<void(TimePoint end)>;

  // `profile` and `clock` outlive it.
  SimulatedBackend(const Profile* profile, EngineNoise noise, VirtualClock* clock);

  const BackendInfo& info() const override { return info_; }
  absl::StatusOr<LoadedCut> Load(const ModelPackage& package) override;
  absl::Status Run(Cut cut, const Batch& batch, std::span<float> outputs) override;

  // The run begins now: phases count from here.
  void Begin(DuringRun during_run);

  const EngineTotals& totals() const { return totals_; }

 private:
  const Profile& profile_;
  const BackendInfo info_;
  EngineNoise noise_;
  VirtualClock* const clock_;
  DuringRun during_run_;
  TimePoint began_ = TimePoint::max();
  EngineTotals totals_;
};

}  // namespace tailor
