// SPDX-License-Identifier: Apache-2.0
// How `tailor rank` shows an answer.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "client/call_error.h"
#include "client/client.h"

#include "base/clock.h"

namespace tailor::client {

struct RankReport {
  RankResult result;
  const std::vector<std::string>* documents = nullptr;  // those of the call
  Duration round_trip{};                                // as the client saw it
};

// A table (rank, score, line of the document, text cut to `columns`), then one line on how the
// answer came about.
std::string RankTable(const RankReport& report, int columns);

// {"results": [{"rank", "index", "score", "truncated", "document"}], "execution": {...},
// "round_trip_ms", "attempts"} on one line; times in milliseconds.
std::string RankJson(const RankReport& report);

// {"error": {"reason", "message", "smallest_feasible_budget_ms", "retry_after_ms"}} on one line.
std::string ErrorJson(const CallError& error);

}  // namespace tailor::client
