// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/ranker_service.h"

#include <memory>
#include <utility>

#include "server/pipeline/refusal.h"
#include "server/rpc/exchange.h"
#include "server/rpc/response_building.h"

namespace tailor {
namespace {

// Calls that wait on every queue. A burst above it waits in gRPC for the next poller round.
constexpr int kPostedWork = 64;
constexpr int kPostedOther = 16;

constexpr size_t kMaxQueuedTokenize = 64;
constexpr Duration kTokenizeRetry = std::chrono::milliseconds(50);

absl::Status TooManyTokenize() {
  return MakeRefusal({.refusal = Refusal::kOverloaded, .retry_after = kTokenizeRetry},
                     "too many Tokenize calls wait");
}

}  // namespace

RankerService::RankerService(Ranker* ranker, Recorder* recorder, const Clock* clock,
                             const RequestLimits& limits)
    : ranker_(ranker),
      recorder_(recorder),
      clock_(clock),
      limits_(limits),
      tokenize_thread_("rpc-tokenize", kMaxQueuedTokenize) {}

std::vector<UnaryCall::Method> RankerService::Methods() {
  const auto method = [this](auto request, RpcMethod name, Handler handler, int posted) {
    return UnaryCall::Method{
        .request =
            [this, request](grpc::ServerContext* context, grpc::ByteBuffer* bytes,
                            UnaryCall::Writer* writer, grpc::ServerCompletionQueue* queue,
                            void* tag) {
              (service_.*request)(context, bytes, writer, queue, queue, tag);
            },
        .handle =
            [this, name, handler](const UnaryCall::Ptr& call) {
              (this->*handler)(std::make_shared<Exchange>(call, name, recorder_, clock_));
            },
        .posted = posted};
  };
  using R = RankerService;
  return {method(&Raw::RequestRank, RpcMethod::kRank, &R::Rank, kPostedWork),
          method(&Raw::RequestScore, RpcMethod::kScore, &R::Score, kPostedWork),
          method(&Raw::RequestEmbed, RpcMethod::kEmbed, &R::Embed, kPostedOther),
          method(&Raw::RequestClassify, RpcMethod::kClassify, &R::Classify, kPostedOther),
          method(&Raw::RequestTokenize, RpcMethod::kTokenize, &R::Tokenize, kPostedOther)};
}

void RankerService::Rank(const Exchange::Ptr& exchange) {
  const auto* message = exchange->Take<v1::RankRequest>(limits_);
  if (message == nullptr) return;
  Submit(exchange, message->options().latency_budget_us(), ToRequest(*message, limits_),
         [this, scale = message->scale()](Exchange* open, const Answer& answer) {
           auto* response = open->NewResponse<v1::RankResponse>();
           FillRank(answer, VariantOf(answer), ranker_->variants(), scale, response);
           return response;
         });
}

void RankerService::Score(const Exchange::Ptr& exchange) {
  const auto* message = exchange->Take<v1::ScoreRequest>(limits_);
  if (message == nullptr) return;
  Submit(exchange, message->options().latency_budget_us(), ToRequest(*message, limits_),
         [this, scale = message->scale()](Exchange* open, const Answer& answer) {
           auto* response = open->NewResponse<v1::ScoreResponse>();
           FillScore(answer, VariantOf(answer), scale, response);
           return response;
         });
}

void RankerService::Embed(const Exchange::Ptr& exchange) {
  const auto* message = exchange->Take<v1::EmbedRequest>(limits_);
  if (message == nullptr) return;
  Submit(exchange, message->options().latency_budget_us(), ToRequest(*message, limits_),
         [](Exchange* open, const Answer& answer) {
           auto* response = open->NewResponse<v1::EmbedResponse>();
           FillEmbed(answer, response);
           return response;
         });
}

void RankerService::Classify(const Exchange::Ptr& exchange) {
  const auto* message = exchange->Take<v1::ClassifyRequest>(limits_);
  if (message == nullptr) return;
  Submit(exchange, message->options().latency_budget_us(), ToRequest(*message, limits_),
         [this, raw = message->raw_scores()](Exchange* open, const Answer& answer) {
           auto* response = open->NewResponse<v1::ClassifyResponse>();
           FillClassify(answer, VariantOf(answer), raw, response);
           return response;
         });
}

void RankerService::Tokenize(const Exchange::Ptr& exchange) {
  const auto* message = exchange->Take<v1::TokenizeRequest>(limits_);
  if (message == nullptr) return;
  if (const absl::Status valid = Validate(*message, limits_); !valid.ok()) {
    return exchange->Refuse(valid);
  }
  if (ranker_ == nullptr) return exchange->Refuse(NoVariant());
  exchange->EndParse();
  const bool taken = tokenize_thread_.TryRun([this, exchange, message] {
    auto* response = exchange->NewResponse<v1::TokenizeResponse>();
    FillTokenize(*message, ranker_->tokenizer(), response);
    exchange->Reply(*response);
  });
  if (!taken) exchange->Refuse(TooManyTokenize());
}

template <typename Fill>
void RankerService::Submit(const Exchange::Ptr& exchange, int64_t latency_budget_us,
                           absl::StatusOr<Request> request, Fill fill) {
  if (!request.ok()) return exchange->Refuse(request.status());
  if (ranker_ == nullptr) return exchange->Refuse(NoVariant());
  exchange->EndParse();
  const Duration allowed = TimeAllowed(latency_budget_us, exchange->UntilDeadline(), limits_);
  exchange->set_budget(allowed);
  request->arrival = exchange->arrival();
  request->deadline = exchange->arrival() + allowed;
  // The callback owns the call, and with it the texts, until the pipeline has dropped it.
  const std::shared_ptr<Ticket> ticket =
      ranker_->Submit(*std::move(request), [this, exchange, fill](absl::StatusOr<Answer> answer) {
        if (!answer.ok()) return exchange->Refuse(answer.status());
        auto* response = fill(exchange.get(), *answer);
        FillExecution(*answer, VariantOf(*answer), exchange->elapsed(),
                      response->mutable_execution());
        exchange->Reply(*response);
      });
  if (ticket != nullptr) exchange->call().OnCancel([ticket] { ticket->Cancel(); });
}

const ServedVariant* RankerService::VariantOf(const Answer& answer) const {
  if (answer.variant < 0) return nullptr;
  return &ranker_->variants()[static_cast<size_t>(answer.variant)];
}

}  // namespace tailor
