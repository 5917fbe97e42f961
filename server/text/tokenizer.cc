// SPDX-License-Identifier: Apache-2.0
#include "server/text/tokenizer.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "base/status_macros.h"
#include "server/text/utf8.h"

namespace tailor {
namespace {

constexpr std::string_view kUnknown = "[UNK]";
constexpr std::string_view kStart = "[CLS]";
constexpr std::string_view kSeparator = "[SEP]";
constexpr std::string_view kOptional[] = {"[PAD]", "[MASK]"};
constexpr size_t kTypicalBytesPerToken = 4;

std::optional<int32_t> FindId(const std::vector<std::string>& vocabulary, std::string_view token) {
  const auto found = std::find(vocabulary.rbegin(), vocabulary.rend(), token);
  if (found == vocabulary.rend()) return std::nullopt;
  return static_cast<int32_t>(std::distance(found, vocabulary.rend()) - 1);
}

absl::StatusOr<int32_t> RequireId(const std::vector<std::string>& vocabulary,
                                  std::string_view token) {
  const std::optional<int32_t> id = FindId(vocabulary, token);
  if (id) return *id;
  return absl::InvalidArgumentError(absl::StrCat("vocabulary: expected an entry ",
                                                 std::string(token), ", got ", vocabulary.size(),
                                                 " without it"));
}

absl::Status CheckEntries(const std::vector<std::string>& vocabulary) {
  for (size_t id = 0; id < vocabulary.size(); ++id) {
    if (const std::optional<size_t> position = FirstInvalidUtf8(vocabulary[id])) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "vocabulary: expected UTF-8, got an ill-formed byte %d in entry %d", *position, id));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Tokenizer> Tokenizer::Create(TokenizerOptions options) {
  TAILOR_RETURN_IF_ERROR(CheckEntries(options.vocabulary));
  TAILOR_ASSIGN_OR_RETURN(const int32_t unknown, RequireId(options.vocabulary, kUnknown));
  TAILOR_ASSIGN_OR_RETURN(const int32_t start, RequireId(options.vocabulary, kStart));
  TAILOR_ASSIGN_OR_RETURN(const int32_t separator, RequireId(options.vocabulary, kSeparator));
  std::vector<SpecialToken> special_tokens = {{std::string(kUnknown), unknown},
                                              {std::string(kStart), start},
                                              {std::string(kSeparator), separator}};
  for (const std::string_view token : kOptional) {
    if (const std::optional<int32_t> id = FindId(options.vocabulary, token)) {
      special_tokens.push_back({std::string(token), *id});
    }
  }
  return Tokenizer(std::move(options), {start, separator}, unknown, std::move(special_tokens));
}

Tokenizer::Tokenizer(TokenizerOptions options, SequenceMarkers markers, int32_t unknown_id,
                     std::vector<SpecialToken> special_tokens)
    : vocabulary_(std::move(options.vocabulary)),
      normalizer_(options.lower_case, options.strip_accents),
      wordpiece_(vocabulary_, unknown_id),
      markers_(markers),
      special_tokens_(std::move(special_tokens)) {}

EncodedText Tokenizer::EncodeText(std::string_view text, int max_tokens) const {
  EncodedText encoded;
  EncodeText(text, max_tokens, &encoded);
  return encoded;
}

void Tokenizer::EncodeText(std::string_view text, int max_tokens, EncodedText* out) const {
  const size_t limit = static_cast<size_t>(std::max(max_tokens, 0));
  out->ids.clear();
  out->ids.reserve(std::min(limit, text.size() / kTypicalBytesPerToken) + kMaxWordChars);
  TextScanner(normalizer_, wordpiece_, special_tokens_, &out->ids).Scan(text, limit);
  out->is_truncated = out->ids.size() > limit;
  if (out->is_truncated) out->ids.resize(limit);
}

}  // namespace tailor
