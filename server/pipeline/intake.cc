// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/intake.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "server/pipeline/queue_ticket.h"
#include "server/pipeline/refusal.h"

namespace tailor {
namespace {

// Up to this many bytes of text are tokenised by the thread that submits them: that takes about
// 0.2 ms at most, and a hand-over to another thread and its wake-up would take as long.
constexpr size_t kInlineBytes = 8 << 10;

size_t NumBytes(const Request& request) {
  size_t bytes = 0;
  for (const TextPair& text : request.texts) {
    bytes += text.first.size() + (text.second ? text.second->size() : 0);
  }
  return bytes;
}

// Before the texts are tokenised: equal shares of a token count estimated from the bytes.
WorkShape EstimatedWork(const PendingRequest& pending) {
  if (pending.encoded.work.rows > 0) return pending.encoded.work;
  WorkShape work;
  work.rows = static_cast<int64_t>(pending.request.texts.size());
  work.tokens = EstimateTokens(pending.request, pending.max_tokens);
  work.squares = work.tokens * work.tokens / work.rows;
  return work;
}

Demand DemandOf(const PendingRequest& pending, Duration spent) {
  return {.arrival = pending.request.arrival,
          .deadline = pending.request.deadline,
          .priority = pending.request.priority,
          .admissible = pending.admissible,
          .any_quality = pending.any_quality,
          .work = pending.encoded.work,
          .spent = spent};
}

}  // namespace

Intake::Intake(const IntakeParts& parts) : parts_(parts) {
  if (parts_.tokenizer_threads > 0) {
    pool_ = std::make_unique<TokenizePool>(parts_.tokenizer_threads);
  }
}

void Intake::StopTokenizing() {
  is_admitting_ = false;
  is_stopping_ = true;
}

std::shared_ptr<Ticket> Intake::Start(const PendingPtr& pending) {
  const absl::StatusOr<bool> has_work = Admit(pending.get());
  if (!has_work.ok()) {
    Refuse(pending, has_work.status(), PipelinePoint::kArrival);
    return std::make_shared<NoTicket>();
  }
  if (!*has_work) {
    Answer answer;
    answer.budget = pending->request.deadline - pending->request.arrival;
    pending->Finish(std::move(answer));
    return std::make_shared<NoTicket>();
  }
  auto ticket = std::make_shared<QueueTicket>(parts_.queue, pending, parts_.recorder);
  if (pool_ == nullptr || NumBytes(pending->request) <= kInlineBytes) {
    EncodeAndPush(pending, pending->request.arrival);
  } else {
    pool_->Run([this, pending] { EncodeAndPush(pending, parts_.clock->Now()); });
  }
  return ticket;
}

absl::StatusOr<bool> Intake::Admit(PendingRequest* pending) {
  const Request& request = pending->request;
  if (is_device_lost_) return DeviceLost();
  if (!is_warm_ || !is_admitting_) {
    return MakeRefusal({.refusal = Refusal::kNotReady},
                       is_warm_ ? "the server is draining" : "the server is starting");
  }
  TAILOR_ASSIGN_OR_RETURN(pending->admissible,
                          AdmissibleVariants(request, parts_.served, parts_.choosable));
  if (request.min_quality > 0) {
    Request any = {.kind = request.kind, .texts = {}, .variant = request.variant};
    TAILOR_ASSIGN_OR_RETURN(pending->any_quality,
                            AdmissibleVariants(any, parts_.served, parts_.choosable));
  } else {
    pending->any_quality = pending->admissible;
  }
  if (request.deadline <= request.arrival) return PastDeadline();
  if (request.texts.empty()) return false;
  pending->max_tokens = MaxTokens(pending->admissible);
  Demand demand = DemandOf(*pending, Duration::zero());
  demand.work = EstimatedWork(*pending);
  pending->reserved_tokens = demand.work.tokens;
  const TimePoint now = parts_.clock->Now();
  const std::vector<VariantState> states = parts_.variants->States(now);
  if (request.deadline <= now) return TooLate(demand, states);
  TAILOR_RETURN_IF_ERROR(
      parts_.queue->Reserve(pending, demand.work, now, [&](const QueueLoad& load) {
        return parts_.admission->JudgeArrival(demand, load, states, now);
      }));
  return true;
}

int Intake::MaxTokens(VariantSet admissible) const {
  int max_tokens = parts_.limits.max_sequence_tokens;
  for (size_t i = 0; i < parts_.served.size(); ++i) {
    if (Contains(admissible, static_cast<int>(i))) {
      max_tokens = std::min(max_tokens, parts_.served[i].task.max_tokens);
    }
  }
  return max_tokens;
}

void Intake::EncodeAndPush(const PendingPtr& pending, TimePoint started) {
  const Request& request = pending->request;
  const TimePoint start = parts_.clock->Now();
  bool is_dead = request.deadline <= start;
  const bool is_encoded = pending->encoded.work.rows > 0;
  if (!is_dead && !is_stopping_ && !pending->is_cancelled && !is_encoded) {
    pending->encoded = EncodeRequest(*parts_.tokenizer, request, pending->max_tokens);
  }
  const TimePoint now = parts_.clock->Now();
  parts_.recorder->RecordTokenize(now - start);
  is_dead = is_dead || request.deadline <= now;
  const std::vector<VariantState> states = parts_.variants->States(now);
  Demand demand = DemandOf(*pending, now - started);
  if (demand.work.rows == 0) demand.work = EstimatedWork(*pending);
  const Verdict idle =
      is_dead ? Verdict{TooLate(demand, states), -1} : parts_.admission->JudgeIdle(demand, states);
  PushedOut pushed_out;
  const absl::Status pushed = parts_.queue->Push(
      pending, idle.cheapest, states, now,
      [&](const QueueLoad& load) {
        if (!idle.status.ok()) return idle.status;
        return parts_.admission->JudgeLoad(demand, idle.cheapest, load, states, now);
      },
      &pushed_out);
  for (const PendingPtr& out : pushed_out.requests) {
    Refuse(out,
           MakeRefusal({.refusal = Refusal::kOverloaded, .retry_after = pushed_out.retry_after},
                       "a more important request needed the time"),
           PipelinePoint::kDequeue);
  }
  if (pushed.ok()) {
    parts_.recorder->RecordRequest(static_cast<int>(demand.work.rows), demand.work.tokens);
    parts_.on_pushed(states, now);
  } else {
    Refuse(pending, pushed, PipelinePoint::kTokenized);
  }
}

void Intake::Refuse(const PendingPtr& pending, const absl::Status& status, PipelinePoint point) {
  switch (GetRefusal(status).refusal) {
    case Refusal::kCancelled:
      parts_.recorder->RecordCancelled(point);
      break;
    case Refusal::kBudgetInfeasible:
    case Refusal::kQualityInfeasible:
    case Refusal::kOverloaded:
    case Refusal::kDeadline:
      parts_.recorder->RecordShed(OutcomeOf(status), pending->request.priority, point);
      break;
    case Refusal::kInvalidArgument:
    case Refusal::kTooLarge:
    case Refusal::kUnknownVariant:
    case Refusal::kUnsupportedOutput:
    case Refusal::kNotReady:
    case Refusal::kEngine:
    case Refusal::kDeviceLost:
      break;
  }
  pending->Finish(status);
}

absl::Status Intake::TooLate(const Demand& demand, std::span<const VariantState> states) const {
  absl::Status idle = parts_.admission->JudgeIdle(demand, states).status;
  return idle.ok() ? PastDeadline() : idle;
}

}  // namespace tailor
