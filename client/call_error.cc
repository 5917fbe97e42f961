// SPDX-License-Identifier: Apache-2.0
#include "client/call_error.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace tailor::client {
namespace {

constexpr char kPayloadUrl[] = "type.googleapis.com/google.rpc.Status";
constexpr char kDomain[] = "tailor";
constexpr int64_t kMaxDetailUs = 3'600'000'000;  // an hour; beyond it a figure is nonsense

std::optional<Duration> BudgetFrom(const google::rpc::ErrorInfo& info) {
  const auto entry = info.metadata().find("smallest_feasible_budget_us");
  int64_t us = 0;
  if (entry == info.metadata().end() || !absl::SimpleAtoi(entry->second, &us)) return std::nullopt;
  if (us < 0 || us > kMaxDetailUs) return std::nullopt;
  return std::chrono::microseconds(us);
}

std::optional<Duration> DelayFrom(const google::rpc::RetryInfo& info) {
  const auto& delay = info.retry_delay();
  if (delay.seconds() < 0 || delay.nanos() < 0) return std::nullopt;
  if (delay.seconds() > kMaxDetailUs / 1'000'000) return std::nullopt;
  return std::chrono::seconds(delay.seconds()) + std::chrono::nanoseconds(delay.nanos());
}

}  // namespace

bool CallError::IsRefusal() const {
  static constexpr std::array<std::string_view, 5> kRefusals = {
      "BUDGET_INFEASIBLE", "QUALITY_INFEASIBLE", "OVERLOADED", "NOT_READY", "DEADLINE"};
  return std::find(kRefusals.begin(), kRefusals.end(), reason) != kRefusals.end();
}

std::string CallError::ToLine() const {
  std::string line =
      absl::StrCat(reason, reason.empty() ? "" : ": ", message.empty() ? "no message" : message);
  if (smallest_feasible_budget) {
    absl::StrAppendFormat(&line, " (smallest feasible budget %.1f ms)",
                          ToMillis(*smallest_feasible_budget));
  }
  if (retry_after) absl::StrAppendFormat(&line, " (retry after %.1f ms)", ToMillis(*retry_after));
  std::replace_if(
      line.begin(), line.end(),
      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
  return line;
}

absl::Status MakeCallStatus(int grpc_code, std::string_view message, std::string_view details) {
  auto code = static_cast<absl::StatusCode>(grpc_code);
  if (grpc_code <= 0 || grpc_code > 16) code = absl::StatusCode::kUnknown;
  absl::Status status(code, absl::string_view(message.data(), message.size()));
  if (!details.empty()) {
    status.SetPayload(kPayloadUrl, absl::Cord(absl::string_view(details.data(), details.size())));
  }
  return status;
}

CallError GetCallError(const absl::Status& status) {
  CallError error;
  error.code = status.code();
  error.reason = absl::StatusCodeToString(status.code());
  error.message = std::string(status.message());
  const auto payload = status.GetPayload(kPayloadUrl);
  google::rpc::Status details;
  if (!payload.has_value() || !details.ParseFromString(std::string(*payload))) return error;
  for (const google::protobuf::Any& detail : details.details()) {
    google::rpc::ErrorInfo info;
    google::rpc::RetryInfo retry;
    if (detail.Is<google::rpc::ErrorInfo>() && detail.UnpackTo(&info)) {
      if (info.domain() != kDomain || info.reason().empty()) continue;
      error.reason = info.reason();
      error.smallest_feasible_budget = BudgetFrom(info);
    } else if (detail.Is<google::rpc::RetryInfo>() && detail.UnpackTo(&retry)) {
      error.retry_after = DelayFrom(retry);
    }
  }
  return error;
}

}  // namespace tailor::client
