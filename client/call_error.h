// SPDX-License-Identifier: Apache-2.0
// Why a call was not answered, with what the server says would help. The reasons and the details on
// the wire are described in proto/tailor/v1/ranker.proto.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"

#include "base/clock.h"

namespace tailor::client {

struct CallError {
  absl::StatusCode code = absl::StatusCode::kUnknown;
  // The server's stable reason, e.g. "BUDGET_INFEASIBLE"; where it sent none (no server there, a
  // proxy in between), the name of the status code, e.g. "UNAVAILABLE".
  std::string reason;
  std::string message;
  std::optional<Duration> smallest_feasible_budget;  // with BUDGET_INFEASIBLE
  std::optional<Duration> retry_after;               // with OVERLOADED

  // The server did its job and said no (budget, quality, overload, not ready), as opposed to a
  // wrong request or a fault.
  bool IsRefusal() const;
  // One line for people: "REASON: message (smallest feasible budget 12.3 ms)". Control characters
  // of the message are replaced, so that a server cannot write to the terminal.
  std::string ToLine() const;
};

// An absl::Status that carries `details`, the bytes of the `grpc-status-details-bin` trailer.
// Not OK even when `code` is 0.
absl::Status MakeCallStatus(int grpc_code, std::string_view message, std::string_view details);

// What a status from this library says. Details that are missing or malformed are left out.
CallError GetCallError(const absl::Status& status);

}  // namespace tailor::client
