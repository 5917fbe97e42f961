// SPDX-License-Identifier: Apache-2.0
#include "engine/model/tokenizer_files.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

#include "base/status_macros.h"
#include "engine/model/json_fields.h"
#include "engine/model/sha256.h"

namespace tailor {
namespace {

using nlohmann::json;
using Vocabulary = std::vector<std::string>;

constexpr size_t kMaxEntries = 1 << 22;
constexpr uint64_t kMaxFileBytes = 64 << 20;
constexpr int kMinTokens = 4;  // [CLS] [SEP] [SEP] and one of text

// What a file says about the options; absent: it does not.
struct Options {
  std::optional<bool> lower_case;
  std::optional<bool> strip_accents;
  std::optional<int> max_tokens;
};

template <typename... Parts>
absl::Status Bad(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

absl::Status CheckVocabulary(const char* file, const Vocabulary& entries) {
  if (entries.size() > kMaxEntries) {
    return Bad(file, ": expected at most ", kMaxEntries, " entries, got ", entries.size());
  }
  std::unordered_map<std::string_view, size_t> ids;
  for (size_t i = 0; i < entries.size(); ++i) {
    const auto [it, is_new] = ids.emplace(entries[i], i);
    if (!is_new && !entries[i].empty()) {
      return Bad(file, ": expected distinct entries, got ", ShortJson(json(entries[i])), " at ids ",
                 it->second, " and ", i);
    }
  }
  for (const char* special : {"[UNK]", "[CLS]", "[SEP]"}) {
    if (!ids.contains(special)) return Bad(file, ": expected an entry ", special, ", got none");
  }
  return absl::OkStatus();
}

Vocabulary SplitLines(absl::string_view text) {
  Vocabulary entries;
  for (absl::string_view line : absl::StrSplit(absl::StripSuffix(text, "\n"), '\n')) {
    absl::ConsumeSuffix(&line, "\r");
    entries.emplace_back(line);
  }
  return entries;
}

void RequireStandard(const JsonFields& fields, absl::string_view key, bool expected) {
  if (fields.Bool(key).value_or(expected) != expected) {
    fields.FailExpected(key, expected ? "true" : "false");
  }
}

// Places `token` at `id`; ids must come out dense, which the caller checks by the empty places.
void Place(const JsonFields& fields, const std::string& token, const json& id,
           std::vector<std::optional<std::string>>* entries) {
  const uint64_t index = id.is_number_unsigned() ? id.get<uint64_t>() : kMaxEntries;
  if (index >= kMaxEntries) {
    fields.FailExpected("vocab", absl::StrCat("ids below ", kMaxEntries));
    return;
  }
  if (index >= entries->size()) entries->resize(index + 1);
  std::optional<std::string>& entry = (*entries)[index];
  if (entry && *entry != token) {
    fields.FailExpected("vocab", absl::StrCat("one entry at id ", index));
  }
  entry = token;
}

// The vocabulary of tokenizer.json; added tokens beyond model.vocab belong to it.
absl::StatusOr<Vocabulary> ReadJsonVocabulary(const json& root) {
  absl::Status problem;
  const JsonFields file(root, "tokenizer.json", &problem);
  file.Require("model");
  const json* model_object = file.Object("model");
  const json* added = file.Array("added_tokens", kMaxEntries);
  if (!problem.ok()) return problem;
  const JsonFields model(*model_object, "tokenizer.json: model", &problem);
  model.OneOf<int>("type", {{"WordPiece", 0}});
  model.OneOf<int>("unk_token", {{"[UNK]", 0}});
  model.OneOf<int>("continuing_subword_prefix", {{"##", 0}});
  model.Int("max_input_chars_per_word", 100, 100);
  model.Require("vocab");
  const json* vocab = model.Object("vocab");
  if (!problem.ok()) return problem;
  std::vector<std::optional<std::string>> places;
  for (const auto& [token, id] : vocab->items()) Place(model, token, id, &places);
  for (size_t i = 0; added != nullptr && i < added->size(); ++i) {
    const JsonFields token((*added)[i], absl::StrCat("tokenizer.json: added_tokens[", i, "]"),
                           &problem);
    token.Require("id");
    token.Require("content");
    const std::string content = token.String("content").value_or("");
    if (problem.ok()) Place(model, content, (*added)[i]["id"], &places);
  }
  if (!problem.ok()) return problem;
  Vocabulary entries;
  for (std::optional<std::string>& place : places) {
    if (!place) {
      return Bad("tokenizer.json: model.vocab: expected ids without gaps, got none for ",
                 entries.size());
    }
    entries.push_back(*std::move(place));
  }
  return entries;
}

absl::StatusOr<Options> ReadJsonOptions(const json& root) {
  absl::Status problem;
  const JsonFields file(root, "tokenizer.json", &problem);
  Options options;
  if (const json* object = file.Object("normalizer")) {
    const JsonFields normalizer(*object, "tokenizer.json: normalizer", &problem);
    normalizer.OneOf<int>("type", {{"BertNormalizer", 0}});
    options.lower_case = normalizer.Bool("lowercase");
    options.strip_accents = normalizer.Bool("strip_accents");
    RequireStandard(normalizer, "clean_text", true);
    RequireStandard(normalizer, "handle_chinese_chars", true);
  }
  if (const json* object = file.Object("pre_tokenizer")) {
    const JsonFields pre_tokenizer(*object, "tokenizer.json: pre_tokenizer", &problem);
    pre_tokenizer.OneOf<int>("type", {{"BertPreTokenizer", 0}});
  }
  if (!problem.ok()) return problem;
  return options;
}

absl::StatusOr<Options> ReadTokenizerConfig(const ModelFolder& folder) {
  if (!folder.Has("tokenizer_config.json")) return Options{};
  TAILOR_ASSIGN_OR_RETURN(const json root, folder.ReadJson("tokenizer_config.json", {}));
  absl::Status problem;
  const JsonFields config(root, "tokenizer_config.json", &problem);
  config.OneOf<int>("tokenizer_class", {{"BertTokenizer", 0},
                                        {"BertTokenizerFast", 0},
                                        {"DistilBertTokenizer", 0},
                                        {"DistilBertTokenizerFast", 0},
                                        {"PreTrainedTokenizerFast", 0},
                                        {"TokenizersBackend", 0}});
  RequireStandard(config, "do_basic_tokenize", true);
  RequireStandard(config, "tokenize_chinese_chars", true);
  Options options = {.lower_case = config.Bool("do_lower_case"),
                     .strip_accents = config.Bool("strip_accents"),
                     .max_tokens = std::nullopt};
  // Hugging Face writes 1e30 for "unknown".
  const double length = config.Number("model_max_length", 0, 1e300).value_or(0);
  if (length >= kMinTokens && length <= 1 << 20) options.max_tokens = static_cast<int>(length);
  if (!problem.ok()) return problem;
  return options;
}

std::string VocabularySha256(const Vocabulary& entries) {
  std::string lines;
  for (const std::string& entry : entries) absl::StrAppend(&lines, entry, "\n");
  return Sha256Hex(lines);
}

absl::Status RequireSameEntries(const Vocabulary& lines, const Vocabulary& json_entries) {
  if (lines == json_entries) return absl::OkStatus();
  const auto [a, b] =
      std::mismatch(lines.begin(), lines.end(), json_entries.begin(), json_entries.end());
  return Bad("tokenizer.json: expected the ", lines.size(), " entries of vocab.txt, got ",
             json_entries.size(), ", the first difference at id ", a - lines.begin());
}

}  // namespace

absl::StatusOr<TokenizerFiles> ReadTokenizerFiles(const ModelFolder& folder) {
  TokenizerFiles result;
  Options from_json;
  Vocabulary json_entries;
  const bool has_lines = folder.Has("vocab.txt");
  const bool has_json = folder.Has("tokenizer.json");
  if (!has_lines && !has_json) {
    return absl::NotFoundError("vocab.txt: expected this file or tokenizer.json, got neither");
  }
  if (has_json) {
    TAILOR_ASSIGN_OR_RETURN(const json root,
                            folder.ReadJson("tokenizer.json", {.max_bytes = kMaxFileBytes}));
    TAILOR_ASSIGN_OR_RETURN(json_entries, ReadJsonVocabulary(root));
    TAILOR_ASSIGN_OR_RETURN(from_json, ReadJsonOptions(root));
  }
  if (has_lines) {
    TAILOR_ASSIGN_OR_RETURN(const std::string text, folder.ReadText("vocab.txt", kMaxFileBytes));
    result.file_sha256 = Sha256Hex(text);
    result.spec.vocabulary = SplitLines(text);
    if (has_json) {
      TAILOR_RETURN_IF_ERROR(RequireSameEntries(result.spec.vocabulary, json_entries));
    }
  } else {
    result.spec.vocabulary = std::move(json_entries);
  }
  TAILOR_RETURN_IF_ERROR(
      CheckVocabulary(has_lines ? "vocab.txt" : "tokenizer.json", result.spec.vocabulary));
  TAILOR_ASSIGN_OR_RETURN(const Options config, ReadTokenizerConfig(folder));
  const bool lower_case = config.lower_case.value_or(from_json.lower_case.value_or(true));
  result.spec.lower_case = lower_case;
  result.spec.strip_accents =
      config.strip_accents.value_or(from_json.strip_accents.value_or(lower_case));
  result.spec.sha256 = VocabularySha256(result.spec.vocabulary);
  result.max_tokens = config.max_tokens;
  return result;
}

}  // namespace tailor
