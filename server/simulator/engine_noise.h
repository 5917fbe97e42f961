// SPDX-License-Identifier: Apache-2.0
// How a simulated engine departs from its profile: a random error of every batch, and phases in
// which all of them take longer.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

#include "base/clock.h"
#include "server/simulator/random.h"

namespace tailor {

enum class EngineFault {
  kNone,
  kSlowPhases,  // 1.5 times as long for 0.5 s on average, every 5 s on average
  kLostCore,    // twice as long from 0.4 to 0.6 of the run: one of two cores is gone
  kSlowSpell,   // five times as long for 10 s (at most a fifth of the run) from its middle
};

// Names in the order of EngineFault.
std::vector<std::string> EngineFaultNames();
// InvalidArgument names the allowed ones.
absl::StatusOr<EngineFault> ParseEngineFault(std::string_view name);

// One owner. Asked in the order of time.
class EngineNoise {
 public:
  // sigma: deviation of the logarithm of a batch's time.
  EngineNoise(double sigma, EngineFault fault, Duration run, uint64_t seed);

  // What a batch's time is multiplied by. `offset`: its start, from the start of the run; negative
  // before it, where only the random error applies.
  double Factor(Duration offset);

 private:
  double FaultFactor(Duration offset);

  const double sigma_;
  const EngineFault fault_;
  const Duration run_;
  Random error_;
  Random phases_;
  Duration phase_end_{};
  bool is_slow_phase_ = true;  // becomes false at the start of the run
};

}  // namespace tailor
