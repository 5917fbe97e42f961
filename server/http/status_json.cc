// SPDX-License-Identifier: Apache-2.0
#include <string>

#include "server/http/status_page.h"

namespace tailor {
namespace {

using Json = nlohmann::json;

Json VariantJson(const ServedVariant& variant, const CostCoefficients& cost, bool is_available,
                 bool on_ladder) {
  Json json = {{"id", variant.id},
               {"state", is_available ? "ready" : "quarantined"},
               {"format", std::string(WeightFormatName(variant.format))},
               {"layers", variant.num_layers},
               {"hidden", variant.hidden},
               {"parameters", variant.num_parameters},
               {"weight_bytes", variant.weight_bytes},
               {"on_ladder", on_ladder},
               {"kernels", variant.loaded.kernels},
               {"cost",
                {{"fixed_s", cost.fixed},
                 {"per_token_s", cost.per_token},
                 {"per_square_s", cost.per_square},
                 {"per_row_s", cost.per_row},
                 {"ratio", cost.ratio}}},
               {"ms_1x64", PredictedSeconds(cost, 1, 64) * 1e3},
               {"ms_1x128", PredictedSeconds(cost, 1, 128) * 1e3},
               {"ms_32x64", PredictedSeconds(cost, 32, 64) * 1e3}};
  if (variant.quality) {
    json["quality"] = {{"ndcg10", variant.quality->ndcg10},
                       {"low", variant.quality->ci_low},
                       {"high", variant.quality->ci_high}};
  }
  return json;
}

Json DecisionJson(const DecisionRecord& decision, const std::vector<ServedVariant>& variants,
                  TimePoint now) {
  return {{"age_s", ToSeconds(now - decision.at)},
          {"variant", variants[static_cast<size_t>(decision.variant)].id},
          {"reason", std::string(ReasonName(decision.reason))},
          {"requests", decision.requests},
          {"pairs", decision.pairs},
          {"tokens", decision.tokens},
          {"predicted_ms", ToMillis(decision.predicted)},
          {"actual_ms", ToMillis(decision.actual)},
          {"split", std::string(decision.split)}};
}

}  // namespace

double PredictedSeconds(const CostCoefficients& cost, int pairs, int tokens) {
  const double total = static_cast<double>(pairs) * tokens;
  return (cost.fixed + cost.per_token * total + cost.per_square * total * tokens +
          cost.per_row * pairs) *
         cost.ratio;
}

nlohmann::json StatusJson(const StatusInput& input) {
  const ServerFacts& facts = *input.facts;
  Json json = {{"family", facts.family},
               {"state", input.state},
               {"version", facts.version},
               {"policy", facts.policy},
               {"device", facts.device},
               {"isa", facts.isa},
               {"threads", facts.threads},
               {"uptime_s", ToSeconds(input.now - facts.started)},
               {"resident_bytes", input.resident_bytes},
               {"queue", {{"requests", 0}, {"tokens", 0}}},
               {"variants", Json::array()},
               {"decisions", Json::array()}};
  if (!facts.notice.empty()) json["notice"] = facts.notice;
  if (input.ranker != nullptr) {
    const StatusReport report = input.ranker->Report();
    const std::vector<ServedVariant>& variants = input.ranker->variants();
    json["queue"] = {{"requests", report.queued_requests}, {"tokens", report.queued_tokens}};
    for (size_t i = 0; i < variants.size(); ++i) {
      const CostCoefficients cost = i < report.costs.size() ? report.costs[i] : CostCoefficients{};
      const bool on_ladder = i < report.on_ladder.size() && report.on_ladder[i];
      const bool is_available = i >= report.available.size() || report.available[i];
      json["variants"].push_back(VariantJson(variants[i], cost, is_available, on_ladder));
    }
    for (const DecisionRecord& decision : report.decisions) {
      json["decisions"].push_back(DecisionJson(decision, variants, input.now));
    }
  }
  for (const RefusedVariant& refused : facts.refused) {
    json["variants"].push_back(
        {{"id", refused.id}, {"state", "refused"}, {"problem", refused.problem}});
  }
  return json;
}

}  // namespace tailor
