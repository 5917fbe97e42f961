// SPDX-License-Identifier: Apache-2.0
#include "cli/inspect_report.h"

#include <algorithm>
#include <array>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "nlohmann/json.hpp"

#include "engine/model/ladder.h"
#include "engine/model/product_weights.h"

namespace tailor {
namespace {

using nlohmann::ordered_json;

struct Row {
  const ModelPackage* variant = nullptr;
  double cost = 0;
  bool on_ladder = false;
};

// The cheapest first; of equal cost in the order of the ids.
std::vector<Row> RowsByCost(const FamilyFolder& family) {
  std::vector<LadderEntry> entries;
  for (const ModelPackage& variant : family.variants) {
    std::optional<double> quality;
    if (variant.quality) quality = variant.quality->ndcg10;
    entries.push_back({.id = variant.id, .cost = EstimateCost(variant), .quality = quality});
  }
  const std::vector<bool> on_ladder = OnLadder(entries);
  std::vector<Row> rows;
  for (size_t i = 0; i < entries.size(); ++i) {
    rows.push_back(
        {.variant = &family.variants[i], .cost = entries[i].cost, .on_ladder = on_ladder[i]});
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return a.cost < b.cost; });
  return rows;
}

// "12", or "3-12" where layers differ.
template <typename Dimension>
std::string Range(const BertConfig& config, const Dimension& dimension) {
  if (config.layers.empty()) return "-";
  const auto [low, high] = std::minmax_element(
      config.layers.begin(), config.layers.end(),
      [&](const LayerShape& a, const LayerShape& b) { return dimension(a) < dimension(b); });
  if (dimension(*low) == dimension(*high)) return absl::StrCat(dimension(*low));
  return absl::StrCat(dimension(*low), "-", dimension(*high));
}

int Heads(const LayerShape& layer) { return layer.num_heads; }
int HeadDim(const LayerShape& layer) { return layer.head_dim; }
int FfnDim(const LayerShape& layer) { return layer.ffn_dim; }

std::string QualityText(const std::optional<Quality>& quality) {
  if (!quality) return "unknown";
  return absl::StrFormat("%.3f (%.3f to %.3f)", quality->ndcg10, quality->ci_low, quality->ci_high);
}

// "int8 34/36": the other products are computed on floats.
std::string FormatText(const ModelPackage& variant) {
  const Int8Share share = CountInt8(variant);
  std::string name(WeightFormatName(MainFormat(variant)));
  if (share.int8 == 0 || share.int8 == share.products) return name;
  return absl::StrCat(name, " ", share.int8, "/", share.products);
}

// "-", "parent", or "parent 0.5x0.67": width and depth of a sub-network.
std::string OriginText(const ModelPackage& variant) {
  if (variant.parent.empty()) return "-";
  if (!variant.sub_network) return variant.parent;
  return absl::StrCat(variant.parent, " ", variant.sub_network->width, "x",
                      variant.sub_network->depth);
}

// "elastic big: widths 1, 0.5 x depths 1, 0.5; 2 of 4 sub-networks are variants: big-w50, ..."
std::string ElasticText(const ModelPackage& variant, const FamilyFolder& family) {
  if (!variant.elastic) return "";
  const Elastic& elastic = *variant.elastic;
  std::vector<std::string> ids;
  for (const ModelPackage& other : family.variants) {
    if (other.parent == variant.id && other.sub_network) ids.push_back(other.id);
  }
  return absl::StrCat(
      "elastic ", variant.id, ": widths ",
      absl::StrJoin(elastic.widths, ", ",
                    [](std::string* out, const auto& w) { absl::StrAppend(out, w.width); }),
      " x depths ",
      absl::StrJoin(elastic.depths, ", ",
                    [](std::string* out, const auto& d) { absl::StrAppend(out, d.depth); }),
      ", ", elastic.widths.size() * elastic.depths.size(),
      " sub-networks; variants: ", ids.empty() ? "none" : absl::StrJoin(ids, ", "), "\n");
}

using Cells = std::array<std::string, 11>;

Cells CellsOf(const Row& row) {
  const ModelPackage& variant = *row.variant;
  return {variant.id,
          absl::StrCat(variant.config.layers.size()),
          Range(variant.config, Heads),
          absl::StrCat(variant.config.hidden),
          Range(variant.config, FfnDim),
          absl::StrFormat("%.2f M", static_cast<double>(variant.num_parameters) / 1e6),
          absl::StrFormat("%.2f MB", static_cast<double>(variant.weight_bytes) / 1e6),
          FormatText(variant),
          OriginText(variant),
          QualityText(variant.quality),
          row.on_ladder ? "yes" : "no"};
}

// Columns as wide as their widest cell; the first one left-aligned, numbers right-aligned.
std::string Align(const std::vector<Cells>& lines) {
  std::array<size_t, std::tuple_size_v<Cells>> widths{};
  for (const Cells& line : lines) {
    for (size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  }
  std::string table;
  for (const Cells& line : lines) {
    for (size_t i = 0; i < line.size(); ++i) {
      const std::string padding(widths[i] - line[i].size(), ' ');
      absl::StrAppend(&table, i == 0 ? "" : "  ", i == 0 ? line[i] + padding : padding + line[i]);
    }
    table += '\n';
  }
  return table;
}

std::string TokenizerText(const TokenizerSpec& tokenizer) {
  return absl::StrFormat("vocabulary of %d entries (sha256 %s), %s, accents %s",
                         tokenizer.vocabulary.size(), tokenizer.sha256.substr(0, 12),
                         tokenizer.lower_case ? "lower case" : "cased",
                         tokenizer.strip_accents ? "stripped" : "kept");
}

template <typename Dimension>
ordered_json PerLayer(const BertConfig& config, const Dimension& dimension) {
  ordered_json values = ordered_json::array();
  for (const LayerShape& layer : config.layers) values.push_back(dimension(layer));
  return values;
}

ordered_json QualityJson(const std::optional<Quality>& quality) {
  if (!quality) return nullptr;
  return {{"ndcg10", quality->ndcg10},
          {"ci95", {quality->ci_low, quality->ci_high}},
          {"n", quality->num_queries},
          {"dataset_id", quality->dataset_id}};
}

ordered_json SubNetworkJson(const ModelPackage& variant) {
  if (!variant.sub_network) return nullptr;
  return {{"width", variant.sub_network->width}, {"depth", variant.sub_network->depth}};
}

ordered_json ElasticJson(const std::optional<Elastic>& elastic) {
  if (!elastic) return nullptr;
  ordered_json json = {{"widths", ordered_json::array()}, {"depths", ordered_json::array()}};
  for (const Elastic::Width& width : elastic->widths) {
    json["widths"].push_back(
        {{"width", width.width}, {"heads", width.num_heads}, {"ffn_dim", width.ffn_dim}});
  }
  for (const Elastic::Depth& depth : elastic->depths) {
    json["depths"].push_back({{"depth", depth.depth}, {"layers", depth.layers}});
  }
  return json;
}

// ok is null for a variant that was not held against anything.
ordered_json VerifiedJson(const VerifiedVariant& variant) {
  ordered_json json = {{"id", variant.id}, {"ok", nullptr}, {"problem", nullptr}};
  if (!variant.status.ok()) json["problem"] = std::string(variant.status.message());
  if (!variant.status.ok() && !absl::IsFailedPrecondition(variant.status)) json["ok"] = false;
  if (variant.check) {
    json["ok"] = variant.check->passed();
    json["pairs"] = variant.check->pairs;
    json["max_difference"] = variant.check->max_difference;
    json["worst_line"] = variant.check->worst_line;
    json["tolerance"] = variant.check->tolerance;
  }
  return json;
}

ordered_json VariantJson(const Row& row) {
  const ModelPackage& variant = *row.variant;
  return {{"id", variant.id},
          {"parent", variant.parent.empty() ? ordered_json(nullptr) : ordered_json(variant.parent)},
          {"sub_network", SubNetworkJson(variant)},
          {"format", std::string(WeightFormatName(MainFormat(variant)))},
          {"int8_products", CountInt8(variant).int8},
          {"layers", variant.config.layers.size()},
          {"heads", PerLayer(variant.config, Heads)},
          {"head_dim", PerLayer(variant.config, HeadDim)},
          {"hidden", variant.config.hidden},
          {"ffn_dim", PerLayer(variant.config, FfnDim)},
          {"outputs", variant.config.head.num_outputs},
          {"max_tokens", variant.task.max_tokens},
          {"parameters", variant.num_parameters},
          {"weight_bytes", variant.weight_bytes},
          {"cost_flops", row.cost},
          {"quality", QualityJson(variant.quality)},
          {"on_ladder", row.on_ladder},
          {"elastic", ElasticJson(variant.elastic)}};
}

}  // namespace

std::string InspectTable(const FamilyFolder& family) {
  std::string text = absl::StrFormat("family %s: %d variant%s", family.id, family.variants.size(),
                                     family.variants.size() == 1 ? "" : "s");
  if (!family.variants.empty()) {
    absl::StrAppend(&text, ", ", TokenizerText(family.variants[0].tokenizer), "\n");
    std::vector<Cells> lines = {{"variant", "layers", "heads", "hidden", "ffn", "parameters",
                                 "weights", "format", "from", "nDCG@10 (95 % interval)", "ladder"}};
    for (const Row& row : RowsByCost(family)) lines.push_back(CellsOf(row));
    text += Align(lines);
    for (const ModelPackage& variant : family.variants) text += ElasticText(variant, family);
  } else {
    text += '\n';
  }
  for (const VariantProblem& problem : family.problems) {
    absl::StrAppend(&text, "problem: ", problem.name, ": ", problem.status.message(), "\n");
  }
  return text;
}

std::string InspectJson(const FamilyFolder& family, const std::vector<VerifiedVariant>* verified) {
  ordered_json variants = ordered_json::array();
  for (const Row& row : RowsByCost(family)) variants.push_back(VariantJson(row));
  ordered_json problems = ordered_json::array();
  for (const VariantProblem& problem : family.problems) {
    problems.push_back(
        {{"name", problem.name}, {"problem", std::string(problem.status.message())}});
  }
  ordered_json report = {
      {"family", family.id}, {"variants", std::move(variants)}, {"problems", std::move(problems)}};
  if (verified != nullptr) {
    ordered_json entries = ordered_json::array();
    for (const VerifiedVariant& variant : *verified) entries.push_back(VerifiedJson(variant));
    report["verified"] = std::move(entries);
  }
  return report.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace tailor
