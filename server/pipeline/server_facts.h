// SPDX-License-Identifier: Apache-2.0
// What is settled at start and shown by Admin, /statusz and the log.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"

namespace tailor {

// A variant that is not served, and why, in one line.
struct RefusedVariant {
  std::string id;
  std::string problem;
};

struct ServerFacts {
  std::string version;
  std::string family;
  std::string device;
  std::string isa;
  std::string notice;  // BackendInfo::notice
  int threads = 0;
  std::vector<int> cores;  // of the engine threads; empty: not pinned
  std::string policy;
  TimePoint started;
  std::vector<RefusedVariant> refused;
};

}  // namespace tailor
