// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/status_mapping.h"

#include <algorithm>
#include <chrono>
#include <string>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

#include "base/clock.h"
#include "server/pipeline/refusal.h"

namespace tailor {
namespace {

// Trailers share the peer's metadata limit (8 KiB), and the message travels twice.
constexpr size_t kMaxMessageBytes = 1024;

int64_t CeilMillis(Duration d) {
  return std::max<int64_t>(0, std::chrono::ceil<std::chrono::milliseconds>(d).count());
}

google::rpc::ErrorInfo ErrorInfoOf(const RefusalDetails& details) {
  google::rpc::ErrorInfo info;
  info.set_reason(std::string(RefusalName(details.refusal)));
  info.set_domain("tailor");
  if (details.smallest_feasible_budget) {
    const auto budget =
        std::chrono::ceil<std::chrono::microseconds>(*details.smallest_feasible_budget);
    (*info.mutable_metadata())["smallest_feasible_budget_us"] = std::to_string(budget.count());
  }
  return info;
}

google::rpc::RetryInfo RetryInfoOf(Duration retry_after) {
  google::rpc::RetryInfo info;
  const int64_t nanos = std::max<int64_t>(0, retry_after.count());
  info.mutable_retry_delay()->set_seconds(nanos / 1'000'000'000);
  info.mutable_retry_delay()->set_nanos(static_cast<int32_t>(nanos % 1'000'000'000));
  return info;
}

}  // namespace

grpc::StatusCode ToGrpcCode(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kOk:
      return grpc::StatusCode::OK;
    case absl::StatusCode::kCancelled:
      return grpc::StatusCode::CANCELLED;
    case absl::StatusCode::kInvalidArgument:
      return grpc::StatusCode::INVALID_ARGUMENT;
    case absl::StatusCode::kDeadlineExceeded:
      return grpc::StatusCode::DEADLINE_EXCEEDED;
    case absl::StatusCode::kNotFound:
      return grpc::StatusCode::NOT_FOUND;
    case absl::StatusCode::kAlreadyExists:
      return grpc::StatusCode::ALREADY_EXISTS;
    case absl::StatusCode::kPermissionDenied:
      return grpc::StatusCode::PERMISSION_DENIED;
    case absl::StatusCode::kResourceExhausted:
      return grpc::StatusCode::RESOURCE_EXHAUSTED;
    case absl::StatusCode::kFailedPrecondition:
      return grpc::StatusCode::FAILED_PRECONDITION;
    case absl::StatusCode::kAborted:
      return grpc::StatusCode::ABORTED;
    case absl::StatusCode::kOutOfRange:
      return grpc::StatusCode::OUT_OF_RANGE;
    case absl::StatusCode::kUnimplemented:
      return grpc::StatusCode::UNIMPLEMENTED;
    case absl::StatusCode::kInternal:
      return grpc::StatusCode::INTERNAL;
    case absl::StatusCode::kUnavailable:
      return grpc::StatusCode::UNAVAILABLE;
    case absl::StatusCode::kDataLoss:
      return grpc::StatusCode::DATA_LOSS;
    case absl::StatusCode::kUnauthenticated:
      return grpc::StatusCode::UNAUTHENTICATED;
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kDoNotUseReservedForFutureExpansionUseDefaultInSwitchInstead_:
      return grpc::StatusCode::UNKNOWN;
  }
  return grpc::StatusCode::UNKNOWN;  // a number that is no absl::StatusCode
}

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const RefusalDetails details = GetRefusal(status);
  const grpc::StatusCode code = ToGrpcCode(status.code());
  const std::string message(status.message().substr(0, kMaxMessageBytes));
  google::rpc::Status wire;
  wire.set_code(static_cast<int32_t>(code));
  wire.set_message(message);
  wire.add_details()->PackFrom(ErrorInfoOf(details));
  if (details.retry_after) wire.add_details()->PackFrom(RetryInfoOf(*details.retry_after));
  return {code, message, wire.SerializeAsString()};
}

void AddTrailers(const absl::Status& status, grpc::ServerContext* context) {
  const RefusalDetails details = GetRefusal(status);
  if (!details.retry_after) return;
  context->AddTrailingMetadata("grpc-retry-pushback-ms",
                               std::to_string(CeilMillis(*details.retry_after)));
}

}  // namespace tailor
