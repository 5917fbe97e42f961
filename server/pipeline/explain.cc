// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/explain.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "server/pipeline/refusal.h"

namespace tailor {
namespace {

std::string Reason(const absl::Status& status) {
  return absl::StrCat(std::string(RefusalName(GetRefusal(status).refusal)), ": ", status.message());
}

WorkShape ShapeOf(const ExplainQuery& query, const BatchLimits& limits) {
  WorkShape work;
  for (const int length : query.lengths)
    work.Add(std::clamp(length, 1, limits.max_sequence_tokens));
  return work;
}

// Any request that this family can answer: only pin and quality matter here.
Request AsRequest(const ExplainQuery& query, std::span<const ServedVariant> served) {
  Request request;
  request.kind =
      served[0].head == HeadKind::kEmbedding ? RequestKind::kEmbed : RequestKind::kClassify;
  request.variant = query.variant;
  request.min_quality = query.min_quality;
  return request;
}

class Explainer {
 public:
  Explainer(const ExplainContext& context, const ExplainQuery& query, const QueueLoad& load)
      : context_(context), query_(query), load_(load) {
    demand_.arrival = context.now;
    demand_.deadline = context.now + query.budget;
    demand_.work = ShapeOf(query, context.limits);
    wait_ = context.admission.WaitSeconds(demand_.deadline, 0, load, context.variants);
  }

  Explanation Run() {
    const Request request = AsRequest(query_, context_.served);
    const absl::StatusOr<VariantSet> admissible = AdmissibleVariants(
        request, context_.served, context_.selector.Choosable(context_.variants));
    demand_.admissible = admissible.ok() ? *admissible : VariantSet();
    demand_.any_quality = demand_.admissible;
    AddCandidates();
    if (!admissible.ok()) {
      result_.reason = Reason(admissible.status());
      return std::move(result_);
    }
    const Verdict idle = context_.admission.JudgeIdle(demand_, context_.variants);
    if (idle.cheapest >= 0) {
      result_.smallest_feasible_budget =
          context_.admission.SmallestBudget(demand_, idle.cheapest, context_.variants);
    }
    absl::Status status = idle.status;
    if (status.ok()) {
      status = context_.admission.JudgeLoad(demand_, idle.cheapest, load_, context_.variants,
                                            context_.now);
    }
    if (status.ok()) {
      Choose(idle.cheapest);
    } else {
      result_.reason = Reason(status);
    }
    return std::move(result_);
  }

 private:
  double Alone(int variant) const {
    return AloneSeconds(context_.variants[static_cast<size_t>(variant)].cost, demand_.work,
                        context_.limits);
  }
  Duration Predicted(int variant) const {
    return FromSeconds(wait_ + Alone(variant)) + context_.reply_margin;
  }

  void AddCandidates() {
    std::vector<int> order = ByQuality(context_.variants, AllVariants(), demand_.work);
    for (int i = 0; i < static_cast<int>(context_.variants.size()); ++i) {
      if (!context_.variants[static_cast<size_t>(i)].is_available) order.push_back(i);
    }
    for (const int i : order) {
      ExplainedCandidate candidate{.variant = i, .predicted = Predicted(i), .why = WhyNot(i)};
      candidate.eligible = candidate.why.empty();
      if (candidate.eligible) candidate.why = "answers in time";
      result_.candidates.push_back(std::move(candidate));
    }
  }

  // Empty when the variant would do.
  std::string WhyNot(int variant) const {
    const VariantState& state = context_.variants[static_cast<size_t>(variant)];
    const std::string& id = context_.served[static_cast<size_t>(variant)].id;
    if (!state.is_available) return "quarantined after repeated failures";
    if (!query_.variant.empty() && query_.variant != id) return "another variant is pinned";
    const std::optional<Quality>& evaluated = context_.served[static_cast<size_t>(variant)].quality;
    if ((evaluated ? evaluated->ndcg10 : 0) < query_.min_quality)
      return "below the minimum quality";
    if (!Contains(demand_.admissible, variant)) {
      return state.quality ? "not what the policy runs" : "its quality is unknown: by pin only";
    }
    const double needed = wait_ + load_.safety * Alone(variant);
    const double left = ToSeconds(query_.budget - context_.reply_margin);
    if (needed <= left) return "";
    return absl::StrFormat("needs %.1f ms, the budget leaves %.1f ms", needed * 1e3, left * 1e3);
  }

  void Choose(int cheapest) {
    int chosen = cheapest;
    for (const ExplainedCandidate& candidate : result_.candidates) {
      if (!candidate.eligible) continue;
      chosen = candidate.variant;
      break;
    }
    const QueueEntry entry{.id = std::numeric_limits<uint64_t>::max(),  // none that waits
                           .arrival = demand_.arrival,
                           .deadline = demand_.deadline - context_.reply_margin,
                           .is_pinned = !query_.variant.empty(),
                           .admissible = demand_.admissible,
                           .cheapest = cheapest,
                           .total = demand_.work,
                           .waiting = demand_.work};
    const QueueSnapshot snapshot{
        .entries = {}, .limits = context_.limits, .num_workers = 1, .safety = load_.safety};
    result_.variant = chosen;
    result_.predicted = Predicted(chosen);
    if (PlanCascade(chosen)) return;
    result_.reason = std::string(
        ReasonName(context_.selector.Reason(entry, chosen, snapshot, context_.variants)));
  }

  // As the queue does for a request that is alone; false: none.
  bool PlanCascade(int single) {
    if (context_.cascade == nullptr || !query_.variant.empty() || !load_.items.empty()) {
      return false;
    }
    const double left = ToSeconds(query_.budget - context_.reply_margin) - wait_;
    const std::optional<CascadePlan> plan = context_.cascade->Choose(
        single, demand_.admissible, demand_.work, left, load_.second_pass_seconds,
        context_.variants, context_.limits, load_.safety);
    if (!plan) return false;
    result_.variant = plan->first;
    result_.second = plan->second;
    result_.predicted = FromSeconds(wait_ + plan->seconds) + context_.reply_margin;
    result_.reason = std::string(ReasonName(SelectionReason::kCascade));
    return true;
  }

  const ExplainContext& context_;
  const ExplainQuery& query_;
  const QueueLoad& load_;
  Demand demand_;
  double wait_ = 0;
  Explanation result_;
};

}  // namespace

Explanation ExplainChoice(const ExplainContext& context, const ExplainQuery& query,
                          const QueueLoad& load) {
  return Explainer(context, query, load).Run();
}

}  // namespace tailor
