// SPDX-License-Identifier: Apache-2.0
// Fuzz target of server/text. An input: a byte of options (bit 0 lower case, bit 1 strip accents),
// a byte that is the limit of tokens, then the query up to the first 0xFF, and the document.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "server/text/tokenizer.h"
#include "server/text/utf8.h"

namespace tailor {
namespace {

constexpr size_t kNumOptions = 4;

std::vector<std::string> MakeVocabulary() {
  std::vector<std::string> vocabulary = {"[PAD]",    "[UNK]",  "[CLS]",    "[SEP]",       "[MASK]",
                                         "the",      "##ing",  "##s",      "一",          "#",
                                         "##\u0301", "\u1112", "##\u1161", "##\U0001D165"};
  for (char letter = 'a'; letter <= 'z'; ++letter) {
    vocabulary.emplace_back(1, letter);
    vocabulary.push_back(std::string("##") + letter);
  }
  return vocabulary;
}

// Built once: their tables are what a process of a server has, too.
const Tokenizer& TokenizerFor(uint8_t options) {
  static const std::vector<std::unique_ptr<const Tokenizer>>* const kTokenizers = [] {
    auto* made = new std::vector<std::unique_ptr<const Tokenizer>>;
    for (size_t i = 0; i < kNumOptions; ++i) {
      made->push_back(std::make_unique<const Tokenizer>(
          *Tokenizer::Create({MakeVocabulary(), (i & 1) != 0, (i & 2) != 0})));
    }
    return made;
  }();
  return *(*kTokenizers)[options % kNumOptions];
}

bool IsPrefix(const std::vector<int32_t>& prefix, const std::vector<int32_t>& whole) {
  return prefix.size() <= whole.size() && std::equal(prefix.begin(), prefix.end(), whole.begin());
}

// Decoding goes over every byte once, and agrees with validation about the first fault.
void CheckUtf8(std::string_view text) {
  size_t position = 0;
  while (position < text.size()) {
    const DecodedChar c = DecodeUtf8(text.substr(position));
    if (c.code_point == 0xFFFD && c.num_bytes == 1) break;
    std::array<char, 4> bytes;
    const int length = EncodeUtf8(c.code_point, bytes.data());
    TAILOR_CHECK(length == c.num_bytes);
    TAILOR_CHECK(text.substr(position, static_cast<size_t>(length)) ==
                 std::string_view(bytes.data(), static_cast<size_t>(length)));
    position += static_cast<size_t>(c.num_bytes);
  }
  TAILOR_CHECK(FirstInvalidUtf8(text).value_or(text.size()) == position);
}

// A limit gives a prefix, and a space parts texts.
void CheckEncoding(const Tokenizer& tokenizer, std::string_view text, int limit) {
  const EncodedText whole = tokenizer.EncodeText(text);
  TAILOR_CHECK(!whole.is_truncated && whole.ids.size() <= 4 * text.size());
  for (const int32_t id : whole.ids) {
    TAILOR_CHECK(id >= 0 && id < static_cast<int32_t>(tokenizer.vocabulary().size()));
  }
  const EncodedText cut = tokenizer.EncodeText(text, limit);
  TAILOR_CHECK(IsPrefix(cut.ids, whole.ids));
  TAILOR_CHECK(cut.ids.size() == std::min(whole.ids.size(), static_cast<size_t>(limit)));
  TAILOR_CHECK(cut.is_truncated == (cut.ids.size() < whole.ids.size()));
  std::vector<int32_t> twice = whole.ids;
  twice.insert(twice.end(), whole.ids.begin(), whole.ids.end());
  TAILOR_CHECK(tokenizer.EncodeText(std::string(text) + " " + std::string(text)).ids == twice);
}

// A document cut at its limit gives the same pair as the whole one.
void CheckPair(const Tokenizer& tokenizer, std::string_view query_text,
               std::string_view document_text, int max_tokens) {
  const EncodedText query = tokenizer.EncodeText(query_text);
  const EncodedText whole = tokenizer.EncodeText(document_text);
  const EncodedText cut =
      tokenizer.EncodeText(document_text, DocumentTokenLimit(query, max_tokens));
  std::vector<int32_t> ids, types, other_ids, other_types;
  const bool truncated = tokenizer.AssemblePair(query, whole, max_tokens, &ids, &types);
  TAILOR_CHECK(truncated ==
               tokenizer.AssemblePair(query, cut, max_tokens, &other_ids, &other_types));
  TAILOR_CHECK(ids == other_ids && types == other_types && ids.size() == types.size());
  const size_t full = query.ids.size() + whole.ids.size() + kNumPairMarkers;
  const size_t limit = static_cast<size_t>(std::max(max_tokens, kNumPairMarkers));
  TAILOR_CHECK(ids.size() == std::min(full, limit) && truncated == (full > limit));
  TAILOR_CHECK(std::is_sorted(types.begin(), types.end()) && types.back() == 1);
}

}  // namespace
}  // namespace tailor

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const tailor::Tokenizer& tokenizer = tailor::TokenizerFor(data[0]);
  const int max_tokens = data[1];
  const std::string_view texts(reinterpret_cast<const char*>(data) + 2, size - 2);
  const size_t end_of_query = std::min(texts.find('\xFF'), texts.size());
  const std::string_view query = texts.substr(0, end_of_query);
  const std::string_view document = texts.substr(std::min(end_of_query + 1, texts.size()));
  tailor::CheckUtf8(texts);
  tailor::CheckEncoding(tokenizer, document, max_tokens);
  tailor::CheckPair(tokenizer, query, document, max_tokens);
  return 0;
}
