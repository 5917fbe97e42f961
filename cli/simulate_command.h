// SPDX-License-Identifier: Apache-2.0
// `tailor simulate`: a policy on a profile and a trace, by the server's own code on a virtual
// clock.
#pragma once

#include <filesystem>
#include <ostream>
#include <string>

#include "CLI/CLI.hpp"

namespace tailor {

// Registers the sub-command. Its callback stores RunSimulation's result in *exit_code.
void AddSimulateCommand(CLI::App& app, int* exit_code);

struct SimulateOptions {
  std::string profile;  // a file, or a name in `profiles`
  std::filesystem::path profiles = "bench/policies/profiles";
  std::string trace;  // a file, or a generated one's name
  std::string policy = "tailored";
  double load = 0.8;
  std::string duration = "60s";
  uint64_t seed = 1;
  double noise = 0.05;
  std::string fault = "none";
  std::filesystem::path record;  // where the requests are written; empty: nowhere
  bool no_backstop = false;
  bool decision_time = false;
  bool by_second = false;
  bool as_json = false;
};

// Prints the result to `out`, or in one line to `error` what is wrong. Returns 0, 64 for an unknown
// policy, profile, trace or value, 65 for a profile or trace file that is none, 66 for a file that
// cannot be read.
int RunSimulation(const SimulateOptions& options, std::ostream& out, std::ostream& error);

}  // namespace tailor
