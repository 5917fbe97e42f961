// SPDX-License-Identifier: Apache-2.0
// /statusz: what the server knows of itself, as JSON and as a page for people.
#pragma once

#include <cstdint>
#include <string>

#include "nlohmann/json.hpp"

#include "base/clock.h"
#include "server/pipeline/ranker.h"
#include "server/pipeline/server_facts.h"

namespace tailor {

struct StatusInput {
  const ServerFacts* facts = nullptr;
  const Ranker* ranker = nullptr;  // null: no variant could be loaded
  std::string state;
  TimePoint now;
  int64_t resident_bytes = 0;
};

// Keys: family, state, version, policy, device, isa, threads, uptime_s, resident_bytes, queue
// {requests, tokens}, variants [...], decisions [...], newest first.
nlohmann::json StatusJson(const StatusInput& input);

// The same as one self-contained page, light or dark as the reader prefers. Escapes everything.
std::string StatusHtml(const nlohmann::json& status);

// Predicted seconds of `pairs` pairs of `tokens` tokens each.
double PredictedSeconds(const CostCoefficients& cost, int pairs, int tokens);

}  // namespace tailor
