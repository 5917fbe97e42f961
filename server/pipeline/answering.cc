// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/answering.h"

#include <utility>
#include <vector>

#include "server/pipeline/rank_order.h"
#include "server/pipeline/refusal.h"

namespace tailor {
namespace {

// Of all texts, by their first or only pass. Before the answer is complete.
std::vector<int32_t> OrderOf(const PendingRequest& pending, const ServedVariant& variant) {
  if (!pending.refinement.order.empty()) return pending.refinement.order;
  return RankOrder(pending.answer.outputs, pending.answer.num_outputs, variant.task,
                   pending.request.order_by_logit);
}

}  // namespace

Answer CompleteAnswer(PendingRequest* pending, const ServedVariant& variant,
                      const CascadeTable* cascade) {
  Answer answer = std::move(pending->answer);
  const Request& request = pending->request;
  answer.truncated = std::move(pending->encoded.truncated);
  answer.tokens = pending->encoded.work.tokens;
  answer.budget = request.deadline - request.arrival;
  if (request.kind != RequestKind::kRank) return answer;
  if (cascade != nullptr) MergePasses(*pending, *cascade, &answer);
  if (answer.order.empty()) {
    answer.order =
        RankOrder(answer.outputs, answer.num_outputs, variant.task, request.order_by_logit);
  }
  if (request.top_n > 0 && static_cast<size_t>(request.top_n) < answer.order.size()) {
    answer.order.resize(static_cast<size_t>(request.top_n));
  }
  return answer;
}

void AnswerOne(const PipelineParts& parts, const PendingPtr& pending) {
  if (pending->request.deadline < parts.clock->Now()) {
    parts.recorder->RecordShed(Outcome::kDeadline, pending->request.priority,
                               PipelinePoint::kReply);
    return pending->Finish(PastDeadline());
  }
  const ServedVariant& variant = parts.served[static_cast<size_t>(pending->answer.variant)];
  const bool is_sampled = parts.live_quality != nullptr && parts.live_quality->IsSampled(*pending);
  const std::vector<int32_t> order =
      is_sampled ? OrderOf(*pending, variant) : std::vector<int32_t>();
  pending->Finish(CompleteAnswer(pending.get(), variant, parts.cascade));
  // The caller does not wait for this.
  if (is_sampled) parts.live_quality->Keep(*pending, order);
}

int AnswerDue(const PipelineParts& parts) {
  const std::vector<PendingPtr> due = parts.queue->TakeDue(parts.clock->Now());
  for (const PendingPtr& pending : due) AnswerOne(parts, pending);
  return static_cast<int>(due.size());
}

}  // namespace tailor
