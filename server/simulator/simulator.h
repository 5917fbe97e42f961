// SPDX-License-Identifier: Apache-2.0
// Runs the server's own pipeline (queue, admission, selector, cost model) on a virtual clock with
// an engine that takes what a profile says.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "base/clock.h"
#include "server/simulator/engine_noise.h"
#include "server/simulator/profile.h"
#include "server/simulator/request_source.h"
#include "server/simulator/simulated_backend.h"

namespace tailor {

struct SimulationOptions {
  std::string policy = "tailored";
  double noise = 0.05;  // deviation of the logarithm of a batch's time
  EngineFault fault = EngineFault::kNone;
  Duration run = std::chrono::seconds(60);  // what faults are placed by
  uint64_t seed = 1;
  bool has_backstop = true;  // see server/pipeline/backstop.h
  // Also take the host's time for each choice. The only figure that differs from run to run.
  bool time_decisions = false;
};

struct CutResult {
  std::string id;
  int64_t met = 0;  // requests answered in time with it
};

// One second of the run, by arrival.
struct SecondResult {
  int64_t requests = 0;
  int64_t met = 0;
  double quality = 0;  // summed over what was met
};

struct SimulationResult {
  int64_t requests = 0;
  int64_t met = 0;       // answered in time
  int64_t refused = 0;   // at arrival
  int64_t given_up = 0;  // while it waited
  int64_t late = 0;
  int64_t documents_met = 0;
  double quality = 0;      // summed over what was met
  double seconds = 0;      // from the start to the last answer
  double latency_p50 = 0;  // of what was met, seconds
  double latency_p99 = 0;
  double decision_p50 = 0;  // seconds of the host; 0 unless asked for
  double decision_p99 = 0;
  EngineTotals engine;
  std::vector<CutResult> cuts;          // in the order of the profile
  std::vector<SecondResult> by_second;  // at most a day

  double attainment() const { return Share(static_cast<double>(met), requests); }
  double mean_quality() const { return Share(quality, met); }
  double effective_quality() const { return Share(quality, requests); }

 private:
  static double Share(double part, int64_t whole) {
    return whole == 0 ? 0 : part / static_cast<double>(whole);
  }
};

// Deterministic but for the times of decisions. InvalidArgument: an unknown policy, with those that
// there are, or a request that the source could not read.
absl::StatusOr<SimulationResult> Simulate(const Profile& profile, RequestSource* source,
                                          const SimulationOptions& options);

}  // namespace tailor
