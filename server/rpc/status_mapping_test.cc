// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/status_mapping.h"

#include <chrono>
#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "gtest/gtest.h"

#include "server/pipeline/refusal.h"

namespace tailor {
namespace {

google::rpc::Status DetailsOf(const grpc::Status& status) {
  google::rpc::Status details;
  EXPECT_TRUE(details.ParseFromString(status.error_details()));
  return details;
}

google::rpc::ErrorInfo InfoOf(const grpc::Status& status) {
  google::rpc::ErrorInfo info;
  const google::rpc::Status details = DetailsOf(status);
  EXPECT_GE(details.details_size(), 1);
  if (details.details_size() > 0) {
    EXPECT_TRUE(details.details(0).UnpackTo(&info));
  }
  return info;
}

TEST(ToGrpcCode, CoversEveryCode) {
  const struct {
    absl::StatusCode from;
    grpc::StatusCode to;
  } kTable[] = {
      {absl::StatusCode::kOk, grpc::StatusCode::OK},
      {absl::StatusCode::kCancelled, grpc::StatusCode::CANCELLED},
      {absl::StatusCode::kUnknown, grpc::StatusCode::UNKNOWN},
      {absl::StatusCode::kInvalidArgument, grpc::StatusCode::INVALID_ARGUMENT},
      {absl::StatusCode::kDeadlineExceeded, grpc::StatusCode::DEADLINE_EXCEEDED},
      {absl::StatusCode::kNotFound, grpc::StatusCode::NOT_FOUND},
      {absl::StatusCode::kAlreadyExists, grpc::StatusCode::ALREADY_EXISTS},
      {absl::StatusCode::kPermissionDenied, grpc::StatusCode::PERMISSION_DENIED},
      {absl::StatusCode::kResourceExhausted, grpc::StatusCode::RESOURCE_EXHAUSTED},
      {absl::StatusCode::kFailedPrecondition, grpc::StatusCode::FAILED_PRECONDITION},
      {absl::StatusCode::kAborted, grpc::StatusCode::ABORTED},
      {absl::StatusCode::kOutOfRange, grpc::StatusCode::OUT_OF_RANGE},
      {absl::StatusCode::kUnimplemented, grpc::StatusCode::UNIMPLEMENTED},
      {absl::StatusCode::kInternal, grpc::StatusCode::INTERNAL},
      {absl::StatusCode::kUnavailable, grpc::StatusCode::UNAVAILABLE},
      {absl::StatusCode::kDataLoss, grpc::StatusCode::DATA_LOSS},
      {absl::StatusCode::kUnauthenticated, grpc::StatusCode::UNAUTHENTICATED},
  };
  for (const auto& row : kTable) {
    EXPECT_EQ(ToGrpcCode(row.from), row.to) << static_cast<int>(row.from);
  }
  EXPECT_EQ(ToGrpcCode(static_cast<absl::StatusCode>(99)), grpc::StatusCode::UNKNOWN);
}

TEST(ToGrpcStatus, EveryRefusalCarriesItsReason) {
  const struct {
    Refusal refusal;
    grpc::StatusCode code;
    std::string reason;
  } kTable[] = {
      {Refusal::kInvalidArgument, grpc::StatusCode::INVALID_ARGUMENT, "INVALID_ARGUMENT"},
      {Refusal::kTooLarge, grpc::StatusCode::RESOURCE_EXHAUSTED, "TOO_LARGE"},
      {Refusal::kUnknownVariant, grpc::StatusCode::NOT_FOUND, "UNKNOWN_VARIANT"},
      {Refusal::kUnsupportedOutput, grpc::StatusCode::FAILED_PRECONDITION, "UNSUPPORTED_OUTPUT"},
      {Refusal::kBudgetInfeasible, grpc::StatusCode::FAILED_PRECONDITION, "BUDGET_INFEASIBLE"},
      {Refusal::kQualityInfeasible, grpc::StatusCode::FAILED_PRECONDITION, "QUALITY_INFEASIBLE"},
      {Refusal::kOverloaded, grpc::StatusCode::RESOURCE_EXHAUSTED, "OVERLOADED"},
      {Refusal::kDeadline, grpc::StatusCode::DEADLINE_EXCEEDED, "DEADLINE"},
      {Refusal::kCancelled, grpc::StatusCode::CANCELLED, "CANCELLED"},
      {Refusal::kNotReady, grpc::StatusCode::UNAVAILABLE, "NOT_READY"},
      {Refusal::kEngine, grpc::StatusCode::INTERNAL, "ENGINE"},
      {Refusal::kDeviceLost, grpc::StatusCode::UNAVAILABLE, "DEVICE_LOST"},
  };
  for (const auto& row : kTable) {
    const grpc::Status status = ToGrpcStatus(MakeRefusal({.refusal = row.refusal}, "why"));
    EXPECT_EQ(status.error_code(), row.code) << row.reason;
    EXPECT_EQ(status.error_message(), "why");
    EXPECT_EQ(DetailsOf(status).code(), static_cast<int>(row.code));
    EXPECT_EQ(InfoOf(status).reason(), row.reason);
    EXPECT_EQ(InfoOf(status).domain(), "tailor");
  }
}

TEST(ToGrpcStatus, InfeasibleBudgetSaysWhatWouldDo) {
  const grpc::Status status =
      ToGrpcStatus(MakeRefusal({.refusal = Refusal::kBudgetInfeasible,
                                .smallest_feasible_budget = std::chrono::nanoseconds(1'500'001)},
                               "too small"));
  // Rounded up: a budget of the named size must do.
  EXPECT_EQ(InfoOf(status).metadata().at("smallest_feasible_budget_us"), "1501");
}

TEST(ToGrpcStatus, OverloadSaysWhenToRetry) {
  const grpc::Status status = ToGrpcStatus(MakeRefusal(
      {.refusal = Refusal::kOverloaded, .retry_after = std::chrono::milliseconds(1250)}, "busy"));
  google::rpc::RetryInfo retry;
  const google::rpc::Status details = DetailsOf(status);
  ASSERT_EQ(details.details_size(), 2);
  ASSERT_TRUE(details.details(1).UnpackTo(&retry));
  EXPECT_EQ(retry.retry_delay().seconds(), 1);
  EXPECT_EQ(retry.retry_delay().nanos(), 250'000'000);
}

TEST(ToGrpcStatus, PlainErrorsAreFaultsOfTheServer) {
  const grpc::Status status = ToGrpcStatus(absl::InternalError("broken"));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_EQ(InfoOf(status).reason(), "ENGINE");
}

TEST(ToGrpcStatus, LongMessagesFitIntoATrailer) {
  const grpc::Status status = ToGrpcStatus(absl::InternalError(std::string(100'000, 'x')));
  EXPECT_LE(status.error_message().size() + status.error_details().size(), 4096U);
}

}  // namespace
}  // namespace tailor
