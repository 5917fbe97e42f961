// SPDX-License-Identifier: Apache-2.0
#include "client/load_records.h"

#include <algorithm>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

namespace tailor::client {
namespace {

using Json = nlohmann::ordered_json;

const char* OutcomeName(const CallRecord& record, const RunInfo& run) {
  switch (record.outcome) {
    case CallRecord::Outcome::kAnswered:
      return IsMet(record, run) ? "met" : "missed";
    case CallRecord::Outcome::kRefused:
      return "refused";
    case CallRecord::Outcome::kFailed:
      return "failed";
  }
  return "";
}

Json RecordJson(const CallRecord& record, const RunInfo& run) {
  const Duration budget = run.budgets[static_cast<size_t>(record.budget)].budget;
  Json json = {{"at_s", ToSeconds(record.offset)},
               {"outcome", OutcomeName(record, run)},
               {"reason", record.reason},
               {"budget_ms", budget > Duration::zero() ? Json(ToMillis(budget)) : Json()},
               {"documents", record.documents},
               {"latency_ms", ToMillis(record.latency)}};
  if (record.outcome != CallRecord::Outcome::kAnswered) return json;
  json["variant"] = record.variant;
  json["quality"] = record.quality;
  json["tokens"] = record.tokens;
  json["queue_ms"] = ToMillis(record.queue);
  json["compute_ms"] = ToMillis(record.compute);
  json["predicted_ms"] = ToMillis(record.predicted);
  json["total_ms"] = ToMillis(record.total);
  return json;
}

}  // namespace

std::string RecordLines(const std::vector<CallRecord>& records, const RunInfo& run) {
  std::vector<const CallRecord*> sorted;
  sorted.reserve(records.size());
  for (const CallRecord& record : records) sorted.push_back(&record);
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const CallRecord* a, const CallRecord* b) { return a->offset < b->offset; });
  std::string lines;
  for (const CallRecord* record : sorted) {
    lines += RecordJson(*record, run).dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  }
  return lines;
}

absl::Status WriteRecords(const std::string& path, const std::vector<CallRecord>& records,
                          const RunInfo& run) {
  std::ofstream file(path, std::ios::trunc);
  file << RecordLines(records, run);
  file.close();
  if (!file) return absl::NotFoundError(absl::StrCat("--record: cannot write ", path));
  return absl::OkStatus();
}

}  // namespace tailor::client
