// SPDX-License-Identifier: Apache-2.0
#include "client/wire.h"

namespace tailor::client {
namespace {

v1::ScoreScale ToWire(ScoreScale scale) {
  switch (scale) {
    case ScoreScale::kModel:
      return v1::SCORE_SCALE_UNSPECIFIED;
    case ScoreScale::kRaw:
      return v1::SCORE_SCALE_RAW;
    case ScoreScale::kSigmoid:
      return v1::SCORE_SCALE_SIGMOID;
  }
  return v1::SCORE_SCALE_UNSPECIFIED;
}

void Fill(const CallOptions& options, v1::ServingOptions* wire) {
  wire->set_latency_budget_us(ToMicros(options.budget));
  wire->set_priority(options.priority);
  wire->set_variant(options.variant);
  wire->set_min_quality(options.min_quality);
}

}  // namespace

v1::RankRequest ToRequest(const RankCall& call) {
  v1::RankRequest request;
  request.set_query(call.query.data(), call.query.size());
  request.mutable_documents()->Reserve(static_cast<int>(call.documents.size()));
  for (const std::string_view document : call.documents) {
    request.add_documents(document.data(), document.size());
  }
  Fill(call.options, request.mutable_options());
  request.set_top_n(call.top_n);
  request.set_cascade(call.may_cascade ? v1::CASCADE_AUTO : v1::CASCADE_OFF);
  request.set_scale(ToWire(call.scale));
  return request;
}

v1::ScoreRequest ToRequest(const ScoreCall& call) {
  v1::ScoreRequest request;
  for (const auto& [first, second] : call.pairs) {
    v1::TextPair* pair = request.add_pairs();
    pair->set_first(first.data(), first.size());
    pair->set_second(second.data(), second.size());
  }
  Fill(call.options, request.mutable_options());
  request.set_scale(ToWire(call.scale));
  return request;
}

Execution FromExecution(const v1::Execution& wire) {
  Execution execution;
  execution.variant = wire.variant();
  execution.quality = wire.quality();
  execution.reason = wire.reason();
  execution.budget = std::chrono::microseconds(wire.budget_us());
  execution.predicted = std::chrono::microseconds(wire.predicted_us());
  execution.queue = std::chrono::microseconds(wire.queue_us());
  execution.compute = std::chrono::microseconds(wire.compute_us());
  execution.total = std::chrono::microseconds(wire.total_us());
  execution.tokens = wire.tokens();
  execution.truncated = wire.truncated();
  return execution;
}

RankResult FromResponse(const v1::RankResponse& response) {
  RankResult result;
  result.documents.reserve(static_cast<size_t>(response.results_size()));
  for (const v1::RankedDocument& document : response.results()) {
    result.documents.push_back(
        {document.index(), document.score(), document.truncated(), document.variant()});
  }
  result.execution = FromExecution(response.execution());
  return result;
}

ScoreResult FromResponse(const v1::ScoreResponse& response) {
  ScoreResult result;
  result.scores.assign(response.scores().begin(), response.scores().end());
  result.truncated.assign(response.truncated().begin(), response.truncated().end());
  result.execution = FromExecution(response.execution());
  return result;
}

}  // namespace tailor::client
