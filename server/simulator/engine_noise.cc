// SPDX-License-Identifier: Apache-2.0
#include "server/simulator/engine_noise.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "base/nearest_name.h"

namespace tailor {
namespace {

constexpr std::array<std::string_view, 4> kNames = {"none", "slow-phases", "lost-core",
                                                    "slow-spell"};
constexpr uint64_t kErrorStream = 11;
constexpr uint64_t kPhaseStream = 12;

constexpr double kSlowPhase = 1.5;
constexpr double kSlowPhaseSeconds = 0.5;
constexpr double kUsualPhaseSeconds = 5;
constexpr double kLostCore = 2;
constexpr double kSlowSpell = 5;
constexpr double kSlowSpellSeconds = 10;

}  // namespace

std::vector<std::string> EngineFaultNames() { return {kNames.begin(), kNames.end()}; }

absl::StatusOr<EngineFault> ParseEngineFault(std::string_view name) {
  const auto found = std::find(kNames.begin(), kNames.end(), name);
  if (found != kNames.end()) return static_cast<EngineFault>(found - kNames.begin());
  const std::vector<std::string> names = EngineFaultNames();
  return absl::InvalidArgumentError(absl::StrCat(
      "fault: expected one of ", absl::StrJoin(names, ", "), ", got \"", std::string(name), "\""));
}

EngineNoise::EngineNoise(double sigma, EngineFault fault, Duration run, uint64_t seed)
    : sigma_(sigma),
      fault_(fault),
      run_(run),
      error_(seed, kErrorStream),
      phases_(seed, kPhaseStream) {}

double EngineNoise::Factor(Duration offset) {
  const double error = sigma_ > 0 ? error_.LogNormal(sigma_) : 1;
  return offset < Duration::zero() ? error : error * FaultFactor(offset);
}

double EngineNoise::FaultFactor(Duration offset) {
  const double seconds = ToSeconds(offset);
  const double run = ToSeconds(run_);
  switch (fault_) {
    case EngineFault::kNone:
      return 1;
    case EngineFault::kSlowPhases:
      while (phase_end_ <= offset) {
        is_slow_phase_ = !is_slow_phase_;
        const double mean = is_slow_phase_ ? kSlowPhaseSeconds : kUsualPhaseSeconds;
        phase_end_ += FromSeconds(mean * phases_.Exponential());
      }
      return is_slow_phase_ ? kSlowPhase : 1;
    case EngineFault::kLostCore:
      return seconds >= 0.4 * run && seconds < 0.6 * run ? kLostCore : 1;
    case EngineFault::kSlowSpell: {
      const double length = std::min(kSlowSpellSeconds, 0.2 * run);
      return seconds >= 0.5 * run && seconds < 0.5 * run + length ? kSlowSpell : 1;
    }
  }
  return 1;
}

}  // namespace tailor
