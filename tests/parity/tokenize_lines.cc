// SPDX-License-Identifier: Apache-2.0
// Encodes texts from standard input with server/text, for test_tokenizer_parity.py to compare.
//
//   tokenize_lines VOCABULARY_FILE LOWER_CASE(0|1) STRIP_ACCENTS(0|1)
//
// A request, little endian: u32 max_tokens, u32 number of texts (1 or 2), then each text as u32
// length and bytes. An answer: u32 number of tokens, u8 truncated, i32 ids, u8 types; for a text
// that is not UTF-8: u32 0xFFFFFFFF and u32 position of the first fault.
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "server/text/tokenizer.h"
#include "server/text/utf8.h"

namespace tailor {
namespace {

constexpr uint32_t kIllFormed = 0xFFFFFFFFu;

bool ReadU32(std::istream& in, uint32_t* value) {
  return static_cast<bool>(in.read(reinterpret_cast<char*>(value), sizeof(*value)));
}

void WriteU32(std::ostream& out, uint32_t value) {
  out.write(reinterpret_cast<const char*>(&value), sizeof(value));
}

std::optional<std::string> ReadText(std::istream& in) {
  uint32_t length = 0;
  if (!ReadU32(in, &length)) return std::nullopt;
  std::string text(length, '\0');
  if (!in.read(text.data(), length)) return std::nullopt;
  return text;
}

std::vector<std::string> ReadVocabulary(const char* path) {
  std::vector<std::string> vocabulary;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) vocabulary.push_back(line);
  return vocabulary;
}

void Answer(const Tokenizer& tokenizer, const std::vector<std::string>& texts, int max_tokens,
            std::ostream& out) {
  std::vector<EncodedText> encoded;
  for (const std::string& text : texts) {
    if (const std::optional<size_t> position = FirstInvalidUtf8(text)) {
      WriteU32(out, kIllFormed);
      WriteU32(out, static_cast<uint32_t>(*position));
      return;
    }
    const bool is_query = encoded.empty() && texts.size() == 2;
    encoded.push_back(tokenizer.EncodeText(
        text, is_query
                  ? kNoTokenLimit
                  : DocumentTokenLimit(encoded.empty() ? EncodedText() : encoded[0], max_tokens)));
  }
  std::vector<int32_t> ids;
  std::vector<int32_t> types;
  const bool truncated =
      encoded.size() == 2 ? tokenizer.AssemblePair(encoded[0], encoded[1], max_tokens, &ids, &types)
                          : tokenizer.AssembleSingle(encoded[0], max_tokens, &ids, &types);
  WriteU32(out, static_cast<uint32_t>(ids.size()));
  out.put(truncated ? '\1' : '\0');
  out.write(reinterpret_cast<const char*>(ids.data()),
            static_cast<std::streamsize>(ids.size() * sizeof(ids[0])));
  for (const int32_t type : types) out.put(static_cast<char>(type));
}

int Run(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "expected VOCABULARY_FILE LOWER_CASE STRIP_ACCENTS\n");
    return 64;
  }
  const absl::StatusOr<Tokenizer> tokenizer = Tokenizer::Create(
      {ReadVocabulary(argv[1]), std::string(argv[2]) == "1", std::string(argv[3]) == "1"});
  if (!tokenizer.ok()) {
    std::fprintf(stderr, "%s\n", tokenizer.status().ToString().c_str());
    return 65;
  }
  std::ios::sync_with_stdio(false);
  uint32_t max_tokens = 0;
  while (ReadU32(std::cin, &max_tokens)) {
    uint32_t count = 0;
    if (!ReadU32(std::cin, &count) || count < 1 || count > 2) return 65;
    std::vector<std::string> texts;
    for (uint32_t i = 0; i < count; ++i) {
      std::optional<std::string> text = ReadText(std::cin);
      if (!text) return 65;
      texts.push_back(*std::move(text));
    }
    Answer(*tokenizer, texts, static_cast<int>(max_tokens), std::cout);
  }
  return 0;
}

}  // namespace
}  // namespace tailor

int main(int argc, char** argv) { return tailor::Run(argc, argv); }
