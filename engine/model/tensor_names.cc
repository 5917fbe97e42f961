// SPDX-License-Identifier: Apache-2.0
#include "engine/model/tensor_names.h"

#include <array>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

#include "base/status_macros.h"

namespace tailor {
namespace {

constexpr absl::string_view kWordEmbeddings = "embeddings.word_embeddings.weight";

absl::StatusOr<std::string> FindPrefix(std::span<const std::string> names) {
  const std::string* found = nullptr;
  for (const std::string& name : names) {
    const bool at_boundary = name.size() == kWordEmbeddings.size() ||
                             absl::EndsWith(name, absl::StrCat(".", kWordEmbeddings));
    if (!absl::EndsWith(name, kWordEmbeddings) || !at_boundary) continue;
    if (found != nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("expected one tensor ", kWordEmbeddings, ", got ", *found, " and ", name));
    }
    found = &name;
  }
  if (found == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected a tensor ", kWordEmbeddings, ", got none"));
  }
  return found->substr(0, found->size() - kWordEmbeddings.size());
}

using Translation = std::pair<std::string_view, std::string_view>;

constexpr std::array<Translation, 10> kDistilBertParts = {{
    {"attention.q_lin.", "attention.self.query."},
    {"attention.k_lin.", "attention.self.key."},
    {"attention.v_lin.", "attention.self.value."},
    {"attention.out_lin.", "attention.output.dense."},
    {"sa_layer_norm.", "attention.output.LayerNorm."},
    {"ffn.lin1.", "intermediate.dense."},
    {"ffn.lin2.", "output.dense."},
    {"output_layer_norm.", "output.LayerNorm."},
    {"transformer.layer.", "encoder.layer."},
    {"pre_classifier.", "pooler.dense."},
}};

std::string Translate(std::string name) {
  for (const auto& [from, to] : kDistilBertParts) {
    const size_t at = name.find(from);
    // At the start of the name or of one of its parts only.
    if (at != std::string::npos && (at == 0 || name[at - 1] == '.')) {
      name.replace(at, from.size(), to);
    }
  }
  if (absl::EndsWith(name, "LayerNorm.gamma")) {
    return absl::StrCat(absl::StripSuffix(name, "gamma"), "weight");
  }
  if (absl::EndsWith(name, "LayerNorm.beta")) {
    return absl::StrCat(absl::StripSuffix(name, "beta"), "bias");
  }
  return name;
}

}  // namespace

absl::StatusOr<std::map<std::string, size_t>> CanonicalTensorNames(
    std::span<const std::string> names) {
  TAILOR_ASSIGN_OR_RETURN(const std::string prefix, FindPrefix(names));
  // Heads sit beside the encoder: "model.bert." has its classifier at "model.classifier".
  absl::string_view outer = prefix;
  if (!absl::ConsumeSuffix(&outer, "distilbert.")) absl::ConsumeSuffix(&outer, "bert.");
  std::map<std::string, size_t> canonical;
  for (size_t i = 0; i < names.size(); ++i) {
    absl::string_view name = names[i];
    if (!absl::ConsumePrefix(&name, prefix)) absl::ConsumePrefix(&name, outer);
    const auto [it, is_new] = canonical.emplace(Translate(std::string(name)), i);
    if (!is_new) {
      return absl::InvalidArgumentError(absl::StrCat("expected one tensor ", it->first, ", got ",
                                                     names[it->second], " and ", names[i]));
    }
  }
  return canonical;
}

bool IsHarmlessTensor(absl::string_view name) {
  for (const absl::string_view head :
       {"cls.", "vocab_transform.", "vocab_layer_norm.", "vocab_projector."}) {
    if (absl::StartsWith(name, head)) return true;
  }
  return name == "embeddings.position_ids" || name == "embeddings.token_type_ids";
}

}  // namespace tailor
