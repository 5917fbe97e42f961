// SPDX-License-Identifier: Apache-2.0
// Wire messages to pipeline requests, or what is wrong with them: the field, the limit, the value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "base/clock.h"
#include "server/pipeline/request.h"
#include "server/pipeline/status_report.h"
#include "tailor/v1/admin.pb.h"
#include "tailor/v1/ranker.pb.h"

namespace tailor {

struct RequestLimits {
  int max_documents = 1000;  // also pairs, texts and inputs
  int64_t max_document_bytes = 64 << 10;
  int64_t max_message_bytes = 4 << 20;
  Duration default_budget = std::chrono::milliseconds(100);
};

// ResourceExhausted with reason TOO_LARGE when a message of `bytes` is above the limit.
absl::Status CheckMessageSize(size_t bytes, const RequestLimits& limits);

// The request without its arrival and deadline. InvalidArgument names field, limit and value; the
// views of the result point into `message`. Texts are checked for UTF-8 here and nowhere else.
absl::StatusOr<Request> ToRequest(const v1::RankRequest& message, const RequestLimits& limits);
absl::StatusOr<Request> ToRequest(const v1::ScoreRequest& message, const RequestLimits& limits);
absl::StatusOr<Request> ToRequest(const v1::EmbedRequest& message, const RequestLimits& limits);
absl::StatusOr<Request> ToRequest(const v1::ClassifyRequest& message, const RequestLimits& limits);
absl::Status Validate(const v1::TokenizeRequest& message, const RequestLimits& limits);
absl::StatusOr<ExplainQuery> ToExplainQuery(const v1::ExplainRequest& message,
                                            const RequestLimits& limits);

// The time that the server has: the smaller of the latency budget (0: none named) and what is left
// of the gRPC deadline; the default when the caller set neither. Not
// positive when the deadline is past.
Duration TimeAllowed(int64_t latency_budget_us, std::optional<Duration> until_grpc_deadline,
                     const RequestLimits& limits);

}  // namespace tailor
