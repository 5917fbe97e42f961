// SPDX-License-Identifier: Apache-2.0
#include "server/reference_check.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

#include "base/status_macros.h"
#include "engine/model/json_fields.h"
#include "engine/model/json_text.h"
#include "engine/model/model_folder.h"
#include "engine/model/sha256.h"
#include "server/pair_scorer.h"

namespace tailor {
namespace {

constexpr uint64_t kMaxInputBytes = 16 << 20;

absl::Status Bad(const std::string& text) { return absl::InvalidArgumentError(text); }

// Number i of `count` that are evenly spread over 0 .. size - 1, both ends included.
size_t Spread(size_t i, size_t count, size_t size) {
  return count == 1 ? 0 : i * (size - 1) / (count - 1);
}

}  // namespace

absl::Status ToStatus(const ReferenceCheck& check) {
  if (check.passed()) return absl::OkStatus();
  return Bad(absl::StrCat("reference: expected scores within ", check.tolerance,
                          ", got a difference of ", check.max_difference, " for pair ",
                          check.worst_line,
                          "; export the variant again, or leave the check out "
                          "with --verify-variants=false"));
}

absl::StatusOr<Tokenizer> MakeTokenizer(const TokenizerSpec& spec) {
  return Tokenizer::Create({.vocabulary = spec.vocabulary,
                            .lower_case = spec.lower_case,
                            .strip_accents = spec.strip_accents});
}

absl::StatusOr<ReferenceChecker::Inputs> ReferenceChecker::Read(const std::string& name) const {
  TAILOR_ASSIGN_OR_RETURN(const ModelFolder folder, ModelFolder::Open(family_, family_));
  TAILOR_ASSIGN_OR_RETURN(const std::string text, folder.ReadText(name, kMaxInputBytes));
  Inputs inputs;
  inputs.sha256 = Sha256Hex(text);
  std::vector<absl::string_view> lines = absl::StrSplit(text, '\n');
  if (!lines.empty() && lines.back().empty()) lines.pop_back();
  const std::vector<std::string> known = {"query", "document"};
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string where = absl::StrCat(name, ":", i + 1);
    const absl::StatusOr<nlohmann::json> line = ParseJson(lines[i], {.max_bytes = 1 << 20});
    if (!line.ok()) return Bad(absl::StrCat(where, ": ", line.status().message()));
    absl::Status problem;
    const JsonFields fields(*line, where, &problem);
    fields.RefuseUnknown(known);
    for (const std::string& key : known) fields.Require(key);
    inputs.pairs.push_back({.query = fields.String("query").value_or(""),
                            .document = fields.String("document").value_or("")});
    if (!problem.ok()) return problem;
  }
  return inputs;
}

absl::StatusOr<const std::vector<ReferenceChecker::Pair>*> ReferenceChecker::Find(
    const ReferenceScores& reference) {
  const std::string& name = reference.inputs_file;
  auto it = inputs_.find(name);
  if (it == inputs_.end()) {
    absl::StatusOr<Inputs> inputs = Read(name);
    if (!inputs.ok())
      return Bad(absl::StrCat("reference.inputs_file: ", inputs.status().message()));
    it = inputs_.emplace(name, *std::move(inputs)).first;
  }
  const Inputs& inputs = it->second;
  if (inputs.sha256 != reference.sha256) {
    return Bad(absl::StrCat("reference: expected ", name, " with sha256 ", reference.sha256,
                            ", got ", inputs.sha256));
  }
  if (inputs.pairs.size() != reference.scores.size()) {
    return Bad(absl::StrCat("reference.scores: expected one for each of the ", inputs.pairs.size(),
                            " lines of ", name, ", got ", reference.scores.size()));
  }
  return &inputs.pairs;
}

absl::StatusOr<ReferenceCheck> ReferenceChecker::Run(const ModelPackage& package,
                                                     const Tokenizer& tokenizer, int max_pairs,
                                                     const LoadedCut& loaded, Backend& backend) {
  TAILOR_ASSIGN_OR_RETURN(const std::vector<Pair>* pairs, Find(*package.reference));
  const size_t count = std::min(static_cast<size_t>(max_pairs), pairs->size());
  PairScorer scorer(package.task, tokenizer, loaded, backend);
  std::vector<size_t> taken;
  for (size_t i = 0; i < count; ++i) {
    const size_t number = Spread(i, count, pairs->size());
    scorer.SetQuery((*pairs)[number].query);
    TAILOR_ASSIGN_OR_RETURN(const bool fits, scorer.Add((*pairs)[number].document));
    if (fits) taken.push_back(number);
  }
  TAILOR_RETURN_IF_ERROR(scorer.Flush());
  ReferenceCheck check;
  check.tolerance = package.reference->tolerance;
  for (size_t i = 0; i < taken.size(); ++i) {
    const double expected = package.reference->scores[taken[i]];
    const double difference = std::abs(scorer.scores()[i] - expected);
    ++check.pairs;
    if (difference < check.max_difference && check.worst_line > 0) continue;
    check.max_difference = difference;
    check.worst_line = static_cast<int>(taken[i]) + 1;
  }
  return check;
}

}  // namespace tailor
