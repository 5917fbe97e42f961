// SPDX-License-Identifier: Apache-2.0
// How `tailor load` shows what it has measured.
#pragma once

#include <string>

#include "client/load_statistics.h"

namespace tailor::client {

// What was asked for, repeated in the report so that a figure can be traced.
struct LoadSettings {
  std::string server;
  std::string mode;      // "open" or "closed"
  std::string arrivals;  // open loop: "poisson", "gamma:4", "constant", "trace FILE"
  double rate = 0;       // open loop
  int concurrency = 0;   // closed loop
  Duration duration{};
  Duration warmup{};
  int documents_per_call = 0;
  std::string documents;  // a file, or "synthetic"
  std::string variant;    // pin
  uint64_t seed = 0;
};

// For people: at most 100 columns.
std::string LoadText(const LoadSettings& settings, const LoadSummary& summary);

// One line; durations in milliseconds, quantiles as {"value", "low", "high"} with null for a bound
// that the sample is too small for.
std::string LoadJson(const LoadSettings& settings, const LoadSummary& summary);

}  // namespace tailor::client
