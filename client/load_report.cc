// SPDX-License-Identifier: Apache-2.0
#include "client/load_report.h"

#include <algorithm>
#include <array>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/terminal.h"
#include "nlohmann/json.hpp"

namespace tailor::client {
namespace {

using Json = nlohmann::ordered_json;

struct NamedQuantile {
  const char* name;
  double p;
};
constexpr std::array<NamedQuantile, 4> kQuantiles = {
    {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}}};

std::string BudgetName(Duration budget) {
  return budget > Duration::zero() ? absl::StrFormat("%g ms", ToMillis(budget)) : "default";
}

std::string Reasons(const std::map<std::string, int64_t>& counts) {
  std::string text;
  for (const auto& [reason, count] : counts) {
    absl::StrAppend(&text, text.empty() ? "" : ", ", FitColumns(reason, 40), " ", count);
  }
  return text;
}

int64_t Total(const std::map<std::string, int64_t>& counts) {
  int64_t total = 0;
  for (const auto& [reason, count] : counts) total += count;
  return total;
}

double Percent(int64_t part, int64_t whole) {
  return whole > 0 ? 100.0 * static_cast<double>(part) / static_cast<double>(whole) : 0;
}

std::string Bound(const std::optional<double>& bound) {
  return bound ? absl::StrFormat("%.2f", *bound) : "?";
}

void AppendHeader(const LoadSettings& settings, const LoadSummary& summary, std::string* text) {
  if (settings.mode == "open") {
    absl::StrAppendFormat(text, "open loop, %s", FitColumns(settings.arrivals, 60));
    if (settings.rate > 0) absl::StrAppendFormat(text, ", %g calls/s", settings.rate);
  } else {
    absl::StrAppendFormat(text, "closed loop, %d calls under way", settings.concurrency);
  }
  absl::StrAppendFormat(text, ", %d documents a call (%s), %g s of which %g s warm-up, seed %d\n",
                        settings.documents_per_call, FitColumns(settings.documents, 60),
                        ToSeconds(settings.duration), ToSeconds(settings.warmup), settings.seed);
  absl::StrAppendFormat(text, "calls     %d: met %d (%.1f %%), missed %d, refused %d, failed %d\n",
                        summary.calls, summary.met, Percent(summary.met, summary.calls),
                        summary.missed, summary.refused, summary.failed);
  absl::StrAppendFormat(
      text, "goodput   %.1f documents/s within budget, %.1f answered, %.0f tokens/s\n",
      summary.goodput_documents_per_s, summary.throughput_documents_per_s, summary.tokens_per_s);
  if (summary.mean_quality > 0) {
    absl::StrAppendFormat(text, "quality   %.4f mean of the answers\n", summary.mean_quality);
  }
}

void AppendLatency(const LoadSettings& settings, const LoadSummary& summary, std::string* text) {
  absl::StrAppendFormat(text, "\nlatency of %d answers from %s, ms (95 %% interval)\n",
                        summary.answered,
                        settings.mode == "open" ? "the intended send time" : "the send time");
  for (const NamedQuantile& quantile : kQuantiles) {
    const auto estimate = summary.latency.Quantile(quantile.p);
    if (!estimate) continue;
    absl::StrAppendFormat(text, "  %-6s %9.2f  [%s, %s]\n", quantile.name, estimate->value,
                          Bound(estimate->low), Bound(estimate->high));
  }
  if (!summary.latency.sorted_ms.empty()) {
    absl::StrAppendFormat(text, "  %-6s %9.2f\n", "max", summary.latency.sorted_ms.back());
  }
  const auto lag = summary.send_lag.Quantile(0.99);
  if (lag) absl::StrAppendFormat(text, "send lag p99 %.3f ms\n", lag->value);
}

void AppendBudgets(const LoadSummary& summary, std::string* text) {
  absl::StrAppendFormat(text, "\n%-10s %8s %8s %8s %8s %8s %8s %8s %8s\n", "budget", "calls", "met",
                        "met %", "missed", "refused", "failed", "p50", "p99");
  for (const BudgetSummary& budget : summary.budgets) {
    const auto p50 = budget.latency.Quantile(0.5);
    const auto p99 = budget.latency.Quantile(0.99);
    absl::StrAppendFormat(
        text, "%-10s %8d %8d %8.1f %8d %8d %8d %8s %8s\n", BudgetName(budget.budget), budget.calls,
        budget.met, Percent(budget.met, budget.calls), budget.missed, Total(budget.refused),
        Total(budget.failed), p50 ? Bound(p50->value) : "-", p99 ? Bound(p99->value) : "-");
    if (!budget.refused.empty()) {
      absl::StrAppend(text, "           refused: ", Reasons(budget.refused), "\n");
    }
    if (!budget.failed.empty()) {
      absl::StrAppend(text, "           failed: ", Reasons(budget.failed), "\n");
    }
  }
}

void AppendVariants(const LoadSummary& summary, std::string* text) {
  absl::StrAppendFormat(text, "\n%-32s %8s %8s\n", "variant", "answers", "share %");
  for (const auto& [variant, count] : summary.variants) {
    absl::StrAppendFormat(text, "%-32s %8d %8.1f\n",
                          variant.empty() ? "(nothing run)" : FitColumns(variant, 32), count,
                          Percent(count, summary.answered));
  }
}

void AppendHistogram(const LoadSummary& summary, std::string* text) {
  constexpr int kBarColumns = 50;
  int64_t most = 1;
  for (const HistogramBucket& bucket : summary.histogram) most = std::max(most, bucket.count);
  absl::StrAppend(text, "\nlatency, ms\n");
  for (const HistogramBucket& bucket : summary.histogram) {
    // A bucket that is not empty shows at least one mark.
    const auto bar = static_cast<size_t>((bucket.count * kBarColumns + most - 1) / most);
    absl::StrAppendFormat(text, "%9g - %-9g %8d %s\n", bucket.low_ms, bucket.high_ms, bucket.count,
                          std::string(bar, '#'));
  }
}

Json QuantileJson(const Sample& sample) {
  Json json = {{"n", sample.sorted_ms.size()}};
  for (const NamedQuantile& quantile : kQuantiles) {
    const auto estimate = sample.Quantile(quantile.p);
    if (!estimate) continue;
    json[quantile.name] = {{"value", estimate->value},
                           {"low", estimate->low ? Json(*estimate->low) : Json()},
                           {"high", estimate->high ? Json(*estimate->high) : Json()}};
  }
  if (!sample.sorted_ms.empty()) json["max"] = sample.sorted_ms.back();
  return json;
}

Json SettingsJson(const LoadSettings& settings) {
  return {{"server", settings.server},
          {"mode", settings.mode},
          {"arrivals", settings.arrivals},
          {"rate", settings.rate},
          {"concurrency", settings.concurrency},
          {"duration_s", ToSeconds(settings.duration)},
          {"warmup_s", ToSeconds(settings.warmup)},
          {"documents_per_call", settings.documents_per_call},
          {"documents", settings.documents},
          {"variant", settings.variant},
          {"seed", settings.seed}};
}

Json BudgetJson(const BudgetSummary& budget) {
  return {{"budget_ms", budget.budget > Duration::zero() ? Json(ToMillis(budget.budget)) : Json()},
          {"share", budget.share},
          {"calls", budget.calls},
          {"met", budget.met},
          {"missed", budget.missed},
          {"refused", budget.refused},
          {"failed", budget.failed},
          {"latency_ms", QuantileJson(budget.latency)}};
}

}  // namespace

std::string LoadText(const LoadSettings& settings, const LoadSummary& summary) {
  std::string text;
  AppendHeader(settings, summary, &text);
  AppendLatency(settings, summary, &text);
  AppendBudgets(summary, &text);
  if (!summary.variants.empty()) AppendVariants(summary, &text);
  if (!summary.histogram.empty()) AppendHistogram(summary, &text);
  for (const std::string& note : summary.notes) absl::StrAppend(&text, "\nnote: ", note, "\n");
  for (const std::string& problem : summary.problems) {
    absl::StrAppend(&text, "\nVOID: ", problem, "\n");
  }
  return text;
}

std::string LoadJson(const LoadSettings& settings, const LoadSummary& summary) {
  Json budgets = Json::array();
  for (const BudgetSummary& budget : summary.budgets) budgets.push_back(BudgetJson(budget));
  Json histogram = Json::array();
  for (const HistogramBucket& bucket : summary.histogram) {
    histogram.push_back(
        {{"low_ms", bucket.low_ms}, {"high_ms", bucket.high_ms}, {"count", bucket.count}});
  }
  const Json json = {{"settings", SettingsJson(settings)},
                     {"valid", summary.problems.empty()},
                     {"problems", summary.problems},
                     {"notes", summary.notes},
                     {"calls", summary.calls},
                     {"answered", summary.answered},
                     {"met", summary.met},
                     {"missed", summary.missed},
                     {"refused", summary.refused},
                     {"failed", summary.failed},
                     {"measured_s", summary.measured_s},
                     {"goodput_documents_per_s", summary.goodput_documents_per_s},
                     {"throughput_documents_per_s", summary.throughput_documents_per_s},
                     {"tokens_per_s", summary.tokens_per_s},
                     {"mean_quality", summary.mean_quality},
                     {"latency_ms", QuantileJson(summary.latency)},
                     {"server_queue_ms", QuantileJson(summary.queue)},
                     {"server_compute_ms", QuantileJson(summary.compute)},
                     {"send_lag_ms", QuantileJson(summary.send_lag)},
                     {"budgets", std::move(budgets)},
                     {"variants", summary.variants},
                     {"histogram", std::move(histogram)}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace tailor::client
