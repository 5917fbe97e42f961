// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/admin_service.h"

#include <memory>
#include <utility>

#include "server/pipeline/refusal.h"
#include "server/rpc/exchange.h"
#include "server/telemetry/process_stats.h"

namespace tailor {
namespace {

constexpr int kPosted = 4;

int64_t Micros(Duration d) {
  return std::chrono::duration_cast<std::chrono::microseconds>(d).count();
}

void FillVariant(const ServedVariant& variant, v1::Variant* out) {
  out->set_id(variant.id);
  out->set_format(std::string(WeightFormatName(variant.format)));
  out->set_layers(variant.num_layers);
  out->set_hidden(variant.hidden);
  out->set_parameters(variant.num_parameters);
  out->set_weight_bytes(variant.weight_bytes);
  if (variant.quality) {
    out->set_quality(variant.quality->ndcg10);
    out->set_quality_low(variant.quality->ci_low);
    out->set_quality_high(variant.quality->ci_high);
  }
  for (const std::string& kernel : variant.loaded.kernels) out->add_kernels(kernel);
}

void FillCost(const CostCoefficients& cost, v1::CostModel* out) {
  out->set_fixed_s(cost.fixed);
  out->set_per_token_s(cost.per_token);
  out->set_per_square_s(cost.per_square);
  out->set_per_row_s(cost.per_row);
  out->set_ratio(cost.ratio);
}

void FillDecision(const DecisionRecord& decision, const std::vector<ServedVariant>& variants,
                  TimePoint now, v1::Decision* out) {
  out->set_age_us(Micros(now - decision.at));
  out->set_variant(variants[static_cast<size_t>(decision.variant)].id);
  out->set_reason(std::string(ReasonName(decision.reason)));
  out->set_requests(decision.requests);
  out->set_pairs(decision.pairs);
  out->set_tokens(decision.tokens);
  out->set_predicted_us(Micros(decision.predicted));
  out->set_actual_us(Micros(decision.actual));
  out->set_split(std::string(decision.split));
}

void FillExplanation(const Explanation& explanation, const std::vector<ServedVariant>& variants,
                     v1::ExplainResponse* out) {
  if (explanation.variant >= 0) {
    out->set_variant(variants[static_cast<size_t>(explanation.variant)].id);
  }
  if (explanation.second >= 0) {
    out->set_second_variant(variants[static_cast<size_t>(explanation.second)].id);
  }
  out->set_reason(explanation.reason);
  out->set_predicted_us(Micros(explanation.predicted));
  out->set_smallest_feasible_budget_us(Micros(explanation.smallest_feasible_budget));
  for (const ExplainedCandidate& candidate : explanation.candidates) {
    const ServedVariant& variant = variants[static_cast<size_t>(candidate.variant)];
    v1::Candidate* entry = out->add_candidates();
    entry->set_variant(variant.id);
    if (variant.quality) entry->set_quality(variant.quality->ndcg10);
    entry->set_predicted_us(Micros(candidate.predicted));
    entry->set_eligible(candidate.eligible);
    entry->set_why(candidate.why);
  }
}

}  // namespace

AdminService::AdminService(Ranker* ranker, const ServerFacts* facts, const Health* health,
                           Recorder* recorder, const Clock* clock, const RequestLimits& limits)
    : ranker_(ranker),
      facts_(facts),
      health_(health),
      recorder_(recorder),
      clock_(clock),
      limits_(limits) {}

std::vector<UnaryCall::Method> AdminService::Methods() {
  const auto method = [this](auto request, auto handler) {
    return UnaryCall::Method{.request =
                                 [this, request](grpc::ServerContext* context,
                                                 grpc::ByteBuffer* bytes, UnaryCall::Writer* writer,
                                                 grpc::ServerCompletionQueue* queue, void* tag) {
                                   (service_.*request)(context, bytes, writer, queue, queue, tag);
                                 },
                             .handle =
                                 [this, handler](const UnaryCall::Ptr& call) {
                                   (this->*handler)(std::make_shared<Exchange>(
                                       call, RpcMethod::kAdmin, recorder_, clock_));
                                 },
                             .posted = kPosted};
  };
  return {method(&Raw::RequestListVariants, &AdminService::ListVariants),
          method(&Raw::RequestGetStatus, &AdminService::GetStatus),
          method(&Raw::RequestExplain, &AdminService::Explain)};
}

void AdminService::ListVariants(const Exchange::Ptr& exchange) {
  if (exchange->Take<v1::ListVariantsRequest>(limits_) == nullptr) return;
  auto* response = exchange->NewResponse<v1::ListVariantsResponse>();
  response->set_family(facts_->family);
  if (ranker_ != nullptr) {
    const StatusReport report = ranker_->Report();
    for (size_t i = 0; i < ranker_->variants().size(); ++i) {
      v1::Variant* variant = response->add_variants();
      FillVariant(ranker_->variants()[i], variant);
      const bool is_available = i >= report.available.size() || report.available[i];
      variant->set_state(is_available ? "ready" : "quarantined");
      if (i < report.costs.size()) FillCost(report.costs[i], variant->mutable_cost());
      variant->set_on_ladder(i < report.on_ladder.size() && report.on_ladder[i]);
    }
  }
  for (const RefusedVariant& refused : facts_->refused) {
    v1::Variant* variant = response->add_variants();
    variant->set_id(refused.id);
    variant->set_state("refused");
    variant->set_problem(refused.problem);
  }
  exchange->Reply(*response);
}

void AdminService::GetStatus(const Exchange::Ptr& exchange) {
  if (exchange->Take<v1::GetStatusRequest>(limits_) == nullptr) return;
  const TimePoint now = clock_->Now();
  auto* response = exchange->NewResponse<v1::GetStatusResponse>();
  response->set_version(facts_->version);
  response->set_state(std::string(HealthStateName(health_->state())));
  response->set_policy(facts_->policy);
  response->set_device(facts_->device);
  response->set_isa(facts_->isa);
  response->set_notice(facts_->notice);
  response->set_threads(facts_->threads);
  response->set_uptime_s(ToSeconds(now - facts_->started));
  response->set_resident_bytes(static_cast<int64_t>(ReadProcessStats().resident_bytes));
  if (ranker_ != nullptr) {
    const StatusReport report = ranker_->Report();
    response->set_queued_requests(report.queued_requests);
    response->set_queued_tokens(report.queued_tokens);
    for (const DecisionRecord& decision : report.decisions) {
      FillDecision(decision, ranker_->variants(), now, response->add_decisions());
    }
  }
  exchange->Reply(*response);
}

void AdminService::Explain(const Exchange::Ptr& exchange) {
  const auto* message = exchange->Take<v1::ExplainRequest>(limits_);
  if (message == nullptr) return;
  const absl::StatusOr<ExplainQuery> query = ToExplainQuery(*message, limits_);
  if (!query.ok()) return exchange->Refuse(query.status());
  if (ranker_ == nullptr) return exchange->Refuse(NoVariant());
  auto* response = exchange->NewResponse<v1::ExplainResponse>();
  FillExplanation(ranker_->Explain(*query), ranker_->variants(), response);
  exchange->Reply(*response);
}

}  // namespace tailor
