// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/request_validation.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "server/pipeline/refusal.h"
#include "server/text/utf8.h"

namespace tailor {
namespace {

constexpr int64_t kMaxBudgetUs = 60'000'000;
constexpr int kMaxPriority = 2;

template <typename... Args>
absl::Status Invalid(const Args&... args) {
  return MakeRefusal({.refusal = Refusal::kInvalidArgument}, absl::StrCat(args...));
}

// Where a text stands in its message; a string is made only when something is wrong.
struct Place {
  std::string_view field;
  int index = -1;              // of a repeated field
  std::string_view part = {};  // of a pair

  std::string Name() const {
    std::string name(field);
    if (index >= 0) absl::StrAppend(&name, "[", index, "]");
    if (!part.empty()) absl::StrAppend(&name, ".", std::string(part));
    return name;
  }
};

absl::Status CheckText(const Place& place, std::string_view text, const RequestLimits& limits) {
  if (static_cast<int64_t>(text.size()) > limits.max_document_bytes) {
    return Invalid(place.Name(), ": expected at most ", limits.max_document_bytes, " bytes, got ",
                   text.size());
  }
  if (const std::optional<size_t> bad = FirstInvalidUtf8(text)) {
    return Invalid(place.Name(), ": expected UTF-8, got an invalid byte at offset ", *bad);
  }
  return absl::OkStatus();
}

absl::Status CheckCount(std::string_view field, int count, const RequestLimits& limits) {
  if (count <= limits.max_documents) return absl::OkStatus();
  return Invalid(std::string(field), ": expected at most ", limits.max_documents, ", got ", count);
}

absl::Status CheckBudget(std::string_view field, int64_t budget_us) {
  if (budget_us >= 0 && budget_us <= kMaxBudgetUs) return absl::OkStatus();
  return Invalid(std::string(field), ": expected 0 to ", kMaxBudgetUs, ", got ", budget_us);
}

absl::Status CheckQuality(std::string_view field, double quality) {
  // Negated, so that NaN is refused too.
  if (!(quality >= 0 && quality <= 1)) {
    return Invalid(std::string(field), ": expected 0 to 1, got ", quality);
  }
  return absl::OkStatus();
}

absl::Status CheckScale(v1::ScoreScale scale) {
  if (v1::ScoreScale_IsValid(scale)) return absl::OkStatus();
  return Invalid("scale: expected 0 to ", static_cast<int>(v1::ScoreScale_MAX), ", got ",
                 static_cast<int>(scale));
}

absl::Status CheckCascade(v1::Cascade cascade) {
  if (v1::Cascade_IsValid(cascade)) return absl::OkStatus();
  return Invalid("cascade: expected 0 to ", static_cast<int>(v1::Cascade_MAX), ", got ",
                 static_cast<int>(cascade));
}

absl::Status TakeOptions(const v1::ServingOptions& options, Request* request) {
  TAILOR_RETURN_IF_ERROR(CheckBudget("options.latency_budget_us", options.latency_budget_us()));
  if (options.priority() < 0 || options.priority() > kMaxPriority) {
    return Invalid("options.priority: expected 0 to ", kMaxPriority, ", got ", options.priority());
  }
  TAILOR_RETURN_IF_ERROR(CheckQuality("options.min_quality", options.min_quality()));
  request->priority = options.priority();
  request->variant = options.variant();
  request->min_quality = options.min_quality();
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckMessageSize(size_t bytes, const RequestLimits& limits) {
  if (static_cast<int64_t>(bytes) <= limits.max_message_bytes) return absl::OkStatus();
  return MakeRefusal(
      {.refusal = Refusal::kTooLarge},
      absl::StrCat("message: expected at most ", limits.max_message_bytes, " bytes, got ", bytes));
}

absl::StatusOr<Request> ToRequest(const v1::RankRequest& message, const RequestLimits& limits) {
  Request request;
  request.kind = RequestKind::kRank;
  TAILOR_RETURN_IF_ERROR(TakeOptions(message.options(), &request));
  TAILOR_RETURN_IF_ERROR(CheckScale(message.scale()));
  TAILOR_RETURN_IF_ERROR(CheckCascade(message.cascade()));
  if (message.top_n() < 0) return Invalid("top_n: expected 0 or more, got ", message.top_n());
  TAILOR_RETURN_IF_ERROR(CheckCount("documents", message.documents_size(), limits));
  TAILOR_RETURN_IF_ERROR(CheckText({.field = "query"}, message.query(), limits));
  request.top_n = message.top_n();
  request.order_by_logit = message.scale() != v1::SCORE_SCALE_UNSPECIFIED;
  request.may_cascade = message.cascade() != v1::CASCADE_OFF;
  request.texts.reserve(static_cast<size_t>(message.documents_size()));
  for (int i = 0; i < message.documents_size(); ++i) {
    const std::string& document = message.documents(i);
    TAILOR_RETURN_IF_ERROR(CheckText({.field = "documents", .index = i}, document, limits));
    request.texts.push_back({message.query(), document});
  }
  return request;
}

absl::StatusOr<Request> ToRequest(const v1::ScoreRequest& message, const RequestLimits& limits) {
  Request request;
  request.kind = RequestKind::kScore;
  TAILOR_RETURN_IF_ERROR(TakeOptions(message.options(), &request));
  TAILOR_RETURN_IF_ERROR(CheckScale(message.scale()));
  TAILOR_RETURN_IF_ERROR(CheckCount("pairs", message.pairs_size(), limits));
  request.texts.reserve(static_cast<size_t>(message.pairs_size()));
  for (int i = 0; i < message.pairs_size(); ++i) {
    const v1::TextPair& pair = message.pairs(i);
    TAILOR_RETURN_IF_ERROR(CheckText({"pairs", i, "first"}, pair.first(), limits));
    TAILOR_RETURN_IF_ERROR(CheckText({"pairs", i, "second"}, pair.second(), limits));
    request.texts.push_back({pair.first(), pair.second()});
  }
  return request;
}

absl::StatusOr<Request> ToRequest(const v1::EmbedRequest& message, const RequestLimits& limits) {
  Request request;
  request.kind = RequestKind::kEmbed;
  TAILOR_RETURN_IF_ERROR(TakeOptions(message.options(), &request));
  TAILOR_RETURN_IF_ERROR(CheckCount("texts", message.texts_size(), limits));
  request.texts.reserve(static_cast<size_t>(message.texts_size()));
  for (int i = 0; i < message.texts_size(); ++i) {
    TAILOR_RETURN_IF_ERROR(CheckText({.field = "texts", .index = i}, message.texts(i), limits));
    request.texts.push_back({message.texts(i), std::nullopt});
  }
  return request;
}

absl::StatusOr<Request> ToRequest(const v1::ClassifyRequest& message, const RequestLimits& limits) {
  Request request;
  request.kind = RequestKind::kClassify;
  TAILOR_RETURN_IF_ERROR(TakeOptions(message.options(), &request));
  TAILOR_RETURN_IF_ERROR(CheckCount("inputs", message.inputs_size(), limits));
  request.texts.reserve(static_cast<size_t>(message.inputs_size()));
  for (int i = 0; i < message.inputs_size(); ++i) {
    const v1::ClassifyInput& input = message.inputs(i);
    TAILOR_RETURN_IF_ERROR(CheckText({"inputs", i, "first"}, input.first(), limits));
    TextPair pair{input.first(), std::nullopt};
    if (input.has_second()) {
      TAILOR_RETURN_IF_ERROR(CheckText({"inputs", i, "second"}, input.second(), limits));
      pair.second = input.second();
    }
    request.texts.push_back(pair);
  }
  return request;
}

absl::Status Validate(const v1::TokenizeRequest& message, const RequestLimits& limits) {
  TAILOR_RETURN_IF_ERROR(CheckCount("texts", message.texts_size(), limits));
  for (int i = 0; i < message.texts_size(); ++i) {
    TAILOR_RETURN_IF_ERROR(CheckText({.field = "texts", .index = i}, message.texts(i), limits));
  }
  return absl::OkStatus();
}

absl::StatusOr<ExplainQuery> ToExplainQuery(const v1::ExplainRequest& message,
                                            const RequestLimits& limits) {
  TAILOR_RETURN_IF_ERROR(CheckBudget("latency_budget_us", message.latency_budget_us()));
  TAILOR_RETURN_IF_ERROR(CheckQuality("min_quality", message.min_quality()));
  TAILOR_RETURN_IF_ERROR(CheckCount("lengths", message.lengths_size(), limits));
  ExplainQuery query;
  for (int i = 0; i < message.lengths_size(); ++i) {
    if (message.lengths(i) < 1) {
      return Invalid("lengths[", i, "]: expected 1 or more, got ", message.lengths(i));
    }
    query.lengths.push_back(message.lengths(i));
  }
  query.budget = TimeAllowed(message.latency_budget_us(), std::nullopt, limits);
  query.variant = message.variant();
  query.min_quality = message.min_quality();
  return query;
}

Duration TimeAllowed(int64_t latency_budget_us, std::optional<Duration> until_grpc_deadline,
                     const RequestLimits& limits) {
  std::optional<Duration> allowed;
  if (latency_budget_us > 0) allowed = std::chrono::microseconds(latency_budget_us);
  if (until_grpc_deadline) {
    allowed = std::min(allowed.value_or(*until_grpc_deadline), *until_grpc_deadline);
  }
  return allowed.value_or(limits.default_budget);
}

}  // namespace tailor
