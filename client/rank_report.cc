// SPDX-License-Identifier: Apache-2.0
#include "client/rank_report.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/terminal.h"
#include "nlohmann/json.hpp"

namespace tailor::client {
namespace {

std::string_view TextOf(const RankReport& report, int index) {
  if (index < 0 || static_cast<size_t>(index) >= report.documents->size()) return "";
  return (*report.documents)[static_cast<size_t>(index)];
}

std::string Dump(const nlohmann::ordered_json& json) {
  // Documents may be anything; JSON may not.
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

nlohmann::ordered_json ToJson(const Execution& execution) {
  return {{"variant", execution.variant},
          {"quality", execution.quality},
          {"reason", execution.reason},
          {"budget_ms", ToMillis(execution.budget)},
          {"predicted_ms", ToMillis(execution.predicted)},
          {"queue_ms", ToMillis(execution.queue)},
          {"compute_ms", ToMillis(execution.compute)},
          {"total_ms", ToMillis(execution.total)},
          {"tokens", execution.tokens},
          {"truncated", execution.truncated}};
}

std::string ExecutionLine(const Execution& execution, Duration round_trip) {
  if (execution.variant.empty()) return "nothing had to be run\n";
  return absl::StrFormat(
      "variant %s (%s)  budget %.1f ms  predicted %.2f  queue %.2f  compute %.2f  total %.2f  "
      "round trip %.2f ms  tokens %d  truncated %d\n",
      FitColumns(execution.variant, 64), FitColumns(execution.reason, 32),
      ToMillis(execution.budget), ToMillis(execution.predicted), ToMillis(execution.queue),
      ToMillis(execution.compute), ToMillis(execution.total), ToMillis(round_trip),
      execution.tokens, execution.truncated);
}

}  // namespace

std::string RankTable(const RankReport& report, int columns) {
  constexpr int kLeftColumns = 24;  // "rank    score   line  "
  constexpr int kVariantColumns = 20;
  constexpr int kMinTextColumns = 20;
  const std::vector<RankedDocument>& documents = report.result.documents;
  const bool is_cascade = !documents.empty() && !documents[0].variant.empty();
  const int left_columns = kLeftColumns + (is_cascade ? kVariantColumns + 2 : 0);
  const int text_columns = std::max(kMinTextColumns, columns - left_columns);
  std::string table = "rank     score    line  ";
  if (is_cascade) absl::StrAppendFormat(&table, "%-*s  ", kVariantColumns, "scored by");
  table += "document\n";
  int rank = 0;
  for (const RankedDocument& document : documents) {
    absl::StrAppendFormat(&table, "%4d %9.4f %7d  ", ++rank, document.score, document.index + 1);
    if (is_cascade) {
      absl::StrAppendFormat(&table, "%-*s  ", kVariantColumns,
                            FitColumns(document.variant, kVariantColumns));
    }
    absl::StrAppend(&table, FitColumns(TextOf(report, document.index), text_columns), "\n");
  }
  return table + ExecutionLine(report.result.execution, report.round_trip);
}

std::string RankJson(const RankReport& report) {
  nlohmann::ordered_json results = nlohmann::ordered_json::array();
  for (const RankedDocument& document : report.result.documents) {
    results.push_back({{"rank", results.size() + 1},
                       {"index", document.index},
                       {"score", document.score},
                       {"truncated", document.truncated},
                       {"document", TextOf(report, document.index)}});
    if (!document.variant.empty()) results.back()["variant"] = document.variant;
  }
  return Dump({{"results", std::move(results)},
               {"execution", ToJson(report.result.execution)},
               {"round_trip_ms", ToMillis(report.round_trip)},
               {"attempts", report.result.attempts}});
}

std::string ErrorJson(const CallError& error) {
  nlohmann::ordered_json json = {{"reason", error.reason}, {"message", error.message}};
  if (error.smallest_feasible_budget) {
    json["smallest_feasible_budget_ms"] = ToMillis(*error.smallest_feasible_budget);
  }
  if (error.retry_after) json["retry_after_ms"] = ToMillis(*error.retry_after);
  return Dump({{"error", std::move(json)}});
}

}  // namespace tailor::client
