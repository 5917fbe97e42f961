// SPDX-License-Identifier: Apache-2.0
// Between the plain types of client/client.h and the protocol's messages. Only .cc files of this
// folder include it.
#pragma once

#include <cstdint>

#include "client/client.h"

#include "tailor/v1/ranker.pb.h"

namespace tailor::client {

constexpr int64_t ToMicros(Duration d) {
  return std::chrono::duration_cast<std::chrono::microseconds>(d).count();
}

v1::RankRequest ToRequest(const RankCall& call);
v1::ScoreRequest ToRequest(const ScoreCall& call);
Execution FromExecution(const v1::Execution& execution);
RankResult FromResponse(const v1::RankResponse& response);
ScoreResult FromResponse(const v1::ScoreResponse& response);

}  // namespace tailor::client
