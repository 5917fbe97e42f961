// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/policies/registry.h"

#include <algorithm>
#include <array>
#include <vector>

#include "absl/strings/str_cat.h"

#include "base/nearest_name.h"
#include "server/pipeline/policies/aimd.h"
#include "server/pipeline/policies/fixed.h"
#include "server/pipeline/policies/infaas.h"
#include "server/pipeline/policies/model_switching.h"
#include "server/pipeline/policies/proteus.h"
#include "server/pipeline/policies/slackfit.h"
#include "server/pipeline/policies/tailored.h"

namespace tailor {
namespace {

constexpr std::string_view kFixed = "fixed";

struct Row {
  PolicyInfo info;
  // `variant`: that of the argument, when there is one.
  std::unique_ptr<Selector> (*make)(int variant);
};

template <class Policy>
std::unique_ptr<Selector> Make(int) {
  return std::make_unique<Policy>();
}

constexpr std::array kRows = {
    Row{{"tailored", "", "the most quality in time for the queue as it is"}, Make<TailoredPolicy>},
    Row{{kFixed, "VARIANT", "one variant for every request"},
        [](int variant) -> std::unique_ptr<Selector> {
          return std::make_unique<FixedPolicy>(variant);
        }},
    Row{{"slackfit", "", "SuperServe's: the first deadline's slack picks variant and batch"},
        Make<SlackFitPolicy>},
    Row{{"infaas-mincost", "", "INFaaS without accuracy bounds: the cheapest variant"},
        Make<InfaasMinCostPolicy>},
    Row{{"infaas-slowest-fit", "", "INFaaS: at arrival, the slowest variant within the budget"},
        Make<InfaasSlowestFitPolicy>},
    Row{{"proteus", "", "Proteus: one variant for ten seconds, batches that wait"},
        Make<ProteusPolicy>},
    Row{{"model-switching", "", "one variant for a second, by effective accuracy at the load"},
        Make<ModelSwitchingPolicy>},
    Row{{"aimd", "", "Clipper's batch sizes, the best variant that keeps the first deadline"},
        Make<AimdPolicy>},
};

constexpr auto kInfos = [] {
  std::array<PolicyInfo, kRows.size()> infos;
  for (size_t i = 0; i < kRows.size(); ++i) infos[i] = kRows[i].info;
  return infos;
}();

std::string Shown(const PolicyInfo& info) {
  return absl::StrCat(std::string(info.name),
                      info.argument.empty() ? "" : absl::StrCat(":", std::string(info.argument)));
}

absl::Status Unknown(std::string_view policy, std::span<const std::string> known) {
  const std::string nearest = NearestName(policy, known);
  return absl::InvalidArgumentError(
      absl::StrCat("policy: expected one of ", PolicyNames(), ", got \"", std::string(policy), "\"",
                   nearest.empty() ? "" : absl::StrCat("; did you mean \"", nearest, "\"?")));
}

}  // namespace

std::span<const PolicyInfo> Policies() { return kInfos; }

std::string PolicyNames() {
  std::string names;
  for (const PolicyInfo& info : kInfos) {
    absl::StrAppend(&names, names.empty() ? "" : ", ", Shown(info));
  }
  return names;
}

absl::Status CheckPolicyName(std::string_view policy) {
  std::vector<std::string> known;
  for (const PolicyInfo& info : kInfos) {
    const bool has_argument = !info.argument.empty();
    known.push_back(absl::StrCat(std::string(info.name), has_argument ? ":" : ""));
    if (has_argument ? policy.starts_with(known.back()) : policy == info.name) {
      return absl::OkStatus();
    }
  }
  return Unknown(policy, known);
}

absl::StatusOr<std::unique_ptr<Selector>> MakeSelector(std::string_view policy,
                                                       std::span<const std::string> ids) {
  std::vector<std::string> known;
  for (const Row& row : kRows) {
    if (row.info.argument.empty()) {
      known.emplace_back(row.info.name);
      if (policy == known.back()) return row.make(-1);
      continue;
    }
    for (size_t i = 0; i < ids.size(); ++i) {
      known.push_back(absl::StrCat(std::string(row.info.name), ":", ids[i]));
      if (policy == known.back()) return row.make(static_cast<int>(i));
    }
  }
  return Unknown(policy, known);
}

}  // namespace tailor
