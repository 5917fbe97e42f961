// SPDX-License-Identifier: Apache-2.0
#include "server/simulator/simulated_backend.h"

#include <algorithm>
#include <utility>

namespace tailor {

SimulatedBackend::SimulatedBackend(const Profile* profile, EngineNoise noise, VirtualClock* clock)
    : profile_(*profile),
      info_{.device = "simulated", .isa = "none", .threads = 1, .limits = profile->limits},
      noise_(std::move(noise)),
      clock_(clock) {}

absl::StatusOr<LoadedCut> SimulatedBackend::Load(const ModelPackage&) {
  return absl::UnimplementedError("load: a simulated engine has the cuts of its profile");
}

absl::Status SimulatedBackend::Run(Cut cut, const Batch& batch, std::span<float> outputs) {
  WorkShape work;
  for (int row = 0; row < batch.num_sequences(); ++row) work.Add(batch.sequence_tokens(row));
  const Duration offset =
      began_ == TimePoint::max() ? Duration(-1) : Duration(clock_->Now() - began_);
  const CostCoefficients& cost = profile_.cuts[static_cast<size_t>(cut.variant)].cost;
  const double seconds = ModeledSeconds(cost, work) * noise_.Factor(offset);
  const TimePoint end = clock_->Now() + FromSeconds(seconds);
  std::fill(outputs.begin(), outputs.end(), 0.0F);
  if (during_run_) {
    ++totals_.batches;
    totals_.tokens += work.tokens;
    totals_.busy_seconds += seconds;
    during_run_(end);
  }
  clock_->AdvanceTo(end);
  return absl::OkStatus();
}

void SimulatedBackend::Begin(DuringRun during_run) {
  began_ = clock_->Now();
  during_run_ = std::move(during_run);
}

}  // namespace tailor
