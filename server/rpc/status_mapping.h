// SPDX-License-Identifier: Apache-2.0
// The only place where absl codes become gRPC codes, and where refusals get their details.
#pragma once

#include "absl/status/status.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/status.h"

namespace tailor {

// The same code by name. Never OK for an error.
grpc::StatusCode ToGrpcCode(absl::StatusCode code);

// `status` with a google.rpc.Status as its details: an ErrorInfo (reason, domain "tailor",
// smallest_feasible_budget_us where known) and, for overload, a RetryInfo. Messages are cut to what
// fits into a trailer.
grpc::Status ToGrpcStatus(const absl::Status& status);

// Before Finish: the trailers of a refusal that are not part of its status
// (grpc-retry-pushback-ms).
void AddTrailers(const absl::Status& status, grpc::ServerContext* context);

}  // namespace tailor
