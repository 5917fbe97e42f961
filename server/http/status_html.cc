// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "server/http/status_page.h"

namespace tailor {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kStyle = R"(
:root { color-scheme: light dark; --ink: #1c2330; --dim: #667085; --line: #e3e7ee; --back: #fbfcfe;
  --card: #fff; --accent: #2456c9; --good: #12805c; --bad: #b42318; --wait: #b25e09; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --dim: #98a2b3; --line: #2b3240;
  --back: #12151b; --card: #191d25; --accent: #8ab0ff; --good: #4ccb9f; --bad: #ff8a80;
  --wait: #f5b36b; } }
body { margin: 0 auto; max-width: 76rem; padding: 1.5rem; background: var(--back);
  color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 .6rem 0 0; display: inline; }
h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
.state { padding: .15rem .6rem; border-radius: 1rem; border: 1px solid currentColor;
  font-size: .85rem; vertical-align: .2rem; }
.ready { color: var(--good); } .starting, .draining { color: var(--wait); }
.refused { color: var(--bad); } .dim { color: var(--dim); }
dl { display: flex; flex-wrap: wrap; gap: .4rem 2rem; margin: 1rem 0 0; }
dl div { min-width: 6rem; } dt { color: var(--dim); font-size: .8rem; } dd { margin: 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
  overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .4rem .8rem; text-align: left; white-space: nowrap;
  border-top: 1px solid var(--line); }
tr:first-child > th { border-top: 0; } th { color: var(--dim); font-weight: 500; font-size: .8rem; }
td.n, th.n { text-align: right; } td.wide { white-space: normal; } a { color: var(--accent); }
)";

std::string Escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string Fixed(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof(text), "%.*f", digits, value);
  return text;
}

std::string Bytes(int64_t bytes) {
  return Fixed(static_cast<double>(bytes) / (1 << 20), 1) + " MiB";
}

std::string Age(double seconds) {
  if (seconds < 120) return Fixed(seconds, 1) + " s";
  if (seconds < 7200) return Fixed(seconds / 60, 0) + " min";
  return Fixed(seconds / 3600, 1) + " h";
}

struct Column {
  std::string_view title;
  bool is_number = false;
};

// Cells are HTML already.
std::string Table(const std::vector<Column>& columns,
                  const std::vector<std::vector<std::string>>& rows) {
  std::string html = "<div class=\"card\"><table><tr>";
  for (const Column& column : columns) {
    absl::StrAppend(&html, column.is_number ? "<th class=\"n\">" : "<th>",
                    std::string(column.title), "</th>");
  }
  html += "</tr>\n";
  for (const std::vector<std::string>& row : rows) {
    html += "<tr>";
    for (size_t i = 0; i < row.size(); ++i) {
      absl::StrAppend(&html, columns[i].is_number ? "<td class=\"n\">" : "<td>", row[i], "</td>");
    }
    html += "</tr>\n";
  }
  return html + "</table></div>\n";
}

std::string QualityCell(const Json& variant) {
  if (!variant.contains("quality")) return "<span class=\"dim\">unknown</span>";
  const Json& quality = variant["quality"];
  return absl::StrCat(Fixed(quality["ndcg10"].get<double>(), 3), " <span class=\"dim\">[",
                      Fixed(quality["low"].get<double>(), 3), ", ",
                      Fixed(quality["high"].get<double>(), 3), "]</span>");
}

std::string VariantTable(const Json& variants) {
  std::vector<std::vector<std::string>> rows;
  for (const Json& variant : variants) {
    if (variant["state"] == "refused") continue;
    const bool is_ready = variant["state"] == "ready";
    rows.push_back(
        {Escaped(variant["id"].get<std::string>()) + (is_ready ? "" : " (quarantined)"),
         variant["format"].get<std::string>(),
         absl::StrCat(variant["layers"].get<int>(), " x ", variant["hidden"].get<int>()),
         Fixed(static_cast<double>(variant["parameters"].get<int64_t>()) / 1e6, 2) + " M",
         Bytes(variant["weight_bytes"].get<int64_t>()), QualityCell(variant),
         variant["on_ladder"].get<bool>() ? "yes" : "<span class=\"dim\">no</span>",
         Fixed(variant["ms_1x64"].get<double>(), 2), Fixed(variant["ms_1x128"].get<double>(), 2),
         Fixed(variant["ms_32x64"].get<double>(), 2),
         Fixed(variant["cost"]["ratio"].get<double>(), 2)});
  }
  return Table({{"variant"},
                {"format"},
                {"layers x hidden", true},
                {"parameters", true},
                {"weights", true},
                {"quality (nDCG@10)", true},
                {"on the ladder"},
                {"1 x 64 tokens, ms", true},
                {"1 x 128, ms", true},
                {"32 x 64, ms", true},
                {"observed / predicted", true}},
               rows);
}

std::string RefusedList(const Json& variants) {
  std::vector<std::vector<std::string>> rows;
  for (const Json& variant : variants) {
    if (variant["state"] != "refused") continue;
    rows.push_back(
        {"<span class=\"refused\">" + Escaped(variant["id"].get<std::string>()) + "</span>",
         Escaped(variant["problem"].get<std::string>())});
  }
  if (rows.empty()) return "";
  return "<h2>Refused</h2>\n" + Table({{"variant"}, {"problem"}}, rows);
}

std::string DecisionTable(const Json& decisions) {
  if (decisions.empty()) return "<p class=\"dim\">None yet.</p>\n";
  std::vector<std::vector<std::string>> rows;
  for (const Json& decision : decisions) {
    const double actual = decision["actual_ms"].get<double>();
    rows.push_back(
        {Age(decision["age_s"].get<double>()) + " ago",
         Escaped(decision["variant"].get<std::string>()), decision["reason"].get<std::string>(),
         absl::StrCat(decision["requests"].get<int>()), absl::StrCat(decision["pairs"].get<int>()),
         absl::StrCat(decision["tokens"].get<int>()),
         Fixed(decision["predicted_ms"].get<double>(), 2),
         actual > 0 ? Fixed(actual, 2) : "<span class=\"dim\">-</span>",
         decision["split"].get<std::string>()});
  }
  return Table({{"when"},
                {"variant"},
                {"reason"},
                {"requests", true},
                {"pairs", true},
                {"tokens", true},
                {"predicted, ms", true},
                {"actual, ms", true},
                {"threads divide"}},
               rows);
}

std::string Facts(const Json& status) {
  const auto fact = [](std::string_view name, const std::string& value) {
    return absl::StrCat("<div><dt>", std::string(name), "</dt><dd>", Escaped(value), "</dd></div>");
  };
  const Json& queue = status["queue"];
  return absl::StrCat("<dl>", fact("version", status["version"]),
                      fact("uptime", Age(status["uptime_s"])), fact("policy", status["policy"]),
                      fact("backend", absl::StrCat(status["device"].get<std::string>(), " ",
                                                   status["isa"].get<std::string>())),
                      status.contains("notice") ? fact("notice", status["notice"]) : "",
                      fact("threads", absl::StrCat(status["threads"].get<int>())),
                      fact("resident", Bytes(status["resident_bytes"])),
                      fact("queued requests", absl::StrCat(queue["requests"].get<int>())),
                      fact("queued tokens", absl::StrCat(queue["tokens"].get<int64_t>())),
                      "</dl>\n");
}

}  // namespace

std::string StatusHtml(const nlohmann::json& status) {
  const std::string family = Escaped(status["family"].get<std::string>());
  const std::string state = Escaped(status["state"].get<std::string>());
  return absl::StrCat(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
      family, " - Tailor</title>\n<style>", std::string(kStyle), "</style></head>\n<body>\n<h1>",
      family, "</h1><span class=\"state ", state, "\">", state, "</span>\n", Facts(status),
      "<h2>Variants</h2>\n", VariantTable(status["variants"]), RefusedList(status["variants"]),
      "<h2>Last decisions</h2>\n", DecisionTable(status["decisions"]),
      "<p class=\"dim\"><a href=\"?format=json\">JSON</a> &middot; <a href=\"/metrics\">metrics</a>"
      " &middot; <a href=\"/healthz\">health</a></p>\n</body></html>\n");
}

}  // namespace tailor
