// SPDX-License-Identifier: Apache-2.0
// Where a simulation's requests come from, one at a time, so that a trace of any length needs no
// more memory than its longest request.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"

#include "base/clock.h"

namespace tailor {

struct SimulatedRequest {
  Duration offset{};  // of its arrival, from the start; never decreasing
  Duration budget{};
  int priority = 0;
  std::vector<int32_t> lengths;  // [documents] tokens of each pair
};

// One owner, one pass.
class RequestSource {
 public:
  virtual ~RequestSource() = default;

  // Replaces `*request`; false when there is none left. InvalidArgument names the line of a file
  // that cannot be read as a request.
  virtual absl::StatusOr<bool> Next(SimulatedRequest* request) = 0;
};

}  // namespace tailor
