// SPDX-License-Identifier: Apache-2.0
// How `tailor simulate` shows its result.
#pragma once

#include <string>

#include "cli/simulate_command.h"

#include "server/simulator/simulator.h"

namespace tailor {

struct SimulateReport {
  const SimulateOptions& options;
  const Profile& profile;
  const SimulationResult& result;
};

// For people: at most 100 columns.
std::string SimulateText(const SimulateReport& report);

// One line.
std::string SimulateJson(const SimulateReport& report);

}  // namespace tailor
