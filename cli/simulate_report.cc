// SPDX-License-Identifier: Apache-2.0
#include "cli/simulate_report.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "nlohmann/json.hpp"

namespace tailor {
namespace {

using Json = nlohmann::ordered_json;

double Share(int64_t part, int64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0;
}

double Percent(int64_t part, int64_t whole) { return 100 * Share(part, whole); }

double PerSecond(double count, double seconds) { return seconds > 0 ? count / seconds : 0; }

double BusyShare(const SimulationResult& result) {
  return PerSecond(result.engine.busy_seconds, result.seconds);
}

void AppendCuts(const SimulateReport& report, std::string* text) {
  size_t width = 3;
  for (const CutResult& cut : report.result.cuts) width = std::max(width, cut.id.size());
  constexpr size_t kMaxWidth = 40;
  width = std::min(width, kMaxWidth);
  absl::StrAppendFormat(text, "\n%-*s  quality  share of what was met\n", static_cast<int>(width),
                        "cut");
  for (size_t i = 0; i < report.result.cuts.size(); ++i) {
    const CutResult& cut = report.result.cuts[i];
    const double percent = Percent(cut.met, report.result.met);
    constexpr double kPercentPerMark = 2.5;
    const auto marks = static_cast<size_t>(percent / kPercentPerMark);
    absl::StrAppendFormat(text, "%-*s  %7.4f  %6.2f %% %s\n", static_cast<int>(width),
                          cut.id.substr(0, kMaxWidth), report.profile.cuts[i].quality, percent,
                          std::string(marks, '#'));
  }
}

}  // namespace

std::string SimulateText(const SimulateReport& report) {
  const SimulateOptions& options = report.options;
  const SimulationResult& result = report.result;
  std::string text =
      absl::StrFormat("profile %s, trace %s, load %g, policy %s, noise %g, fault %s, seed %d\n",
                      report.profile.name, options.trace, options.load, options.policy,
                      options.noise, options.fault, options.seed);
  absl::StrAppendFormat(&text, "requests   %d in %.1f s, %.1f/s\n", result.requests, result.seconds,
                        PerSecond(static_cast<double>(result.requests), result.seconds));
  absl::StrAppendFormat(&text, "attainment %.2f %%: met %d, refused %d, given up %d, late %d\n",
                        Percent(result.met, result.requests), result.met, result.refused,
                        result.given_up, result.late);
  absl::StrAppendFormat(&text, "quality    %.4f mean of what was met, %.4f effective\n",
                        result.mean_quality(), result.effective_quality());
  absl::StrAppendFormat(&text, "goodput    %.1f documents/s in time, engine busy %.1f %%\n",
                        PerSecond(static_cast<double>(result.documents_met), result.seconds),
                        100 * BusyShare(result));
  absl::StrAppendFormat(&text, "latency    p50 %.2f ms, p99 %.2f ms of what was met\n",
                        result.latency_p50 * 1e3, result.latency_p99 * 1e3);
  if (options.decision_time) {
    absl::StrAppendFormat(&text, "decision   p50 %.1f us, p99 %.1f us on this machine\n",
                          result.decision_p50 * 1e6, result.decision_p99 * 1e6);
  }
  AppendCuts(report, &text);
  return text;
}

std::string SimulateJson(const SimulateReport& report) {
  const SimulateOptions& options = report.options;
  const SimulationResult& result = report.result;
  Json json = {
      {"profile", report.profile.name},
      {"trace", options.trace},
      {"policy", options.policy},
      {"load", options.load},
      {"duration", options.duration},
      {"noise", options.noise},
      {"fault", options.fault},
      {"seed", options.seed},
      {"requests", result.requests},
      {"met", result.met},
      {"refused", result.refused},
      {"given_up", result.given_up},
      {"late", result.late},
      {"attainment", result.attainment()},
      {"mean_quality", result.mean_quality()},
      {"effective_quality", result.effective_quality()},
      {"seconds", result.seconds},
      {"documents_per_s", PerSecond(static_cast<double>(result.documents_met), result.seconds)},
      {"busy_share", BusyShare(result)},
      {"batches", result.engine.batches},
      {"latency_ms", {{"p50", result.latency_p50 * 1e3}, {"p99", result.latency_p99 * 1e3}}}};
  if (options.decision_time) {
    json["decision_us"] = {{"p50", result.decision_p50 * 1e6}, {"p99", result.decision_p99 * 1e6}};
  }
  json["cuts"] = Json::array();
  for (size_t i = 0; i < result.cuts.size(); ++i) {
    json["cuts"].push_back({{"id", result.cuts[i].id},
                            {"quality", report.profile.cuts[i].quality},
                            {"share", Share(result.cuts[i].met, result.met)}});
  }
  if (options.by_second) {
    json["by_second"] = Json::array();
    for (const SecondResult& second : result.by_second) {
      json["by_second"].push_back(
          {{"requests", second.requests}, {"met", second.met}, {"quality", second.quality}});
    }
  }
  return json.dump() + "\n";
}

}  // namespace tailor
