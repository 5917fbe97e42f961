// SPDX-License-Identifier: Apache-2.0
// One pass over one text: raw bytes -> special tokens and normalized words -> token ids.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/text/unicode_normalizer.h"
#include "server/text/wordpiece.h"

namespace tailor {

// A word such as "[SEP]" that is one token where raw text contains it, as in Hugging Face
// tokenizers. All of them start with '['.
struct SpecialToken {
  std::string text;
  int32_t id = 0;
};

// Lives for one text, on the stack: the word and the marks in progress stand in fixed arrays, so
// that a text of any length, or one endless word, allocates nothing but its ids.
class TextScanner {
 public:
  // Appends to `ids`. All arguments outlive the scanner.
  TextScanner(const UnicodeNormalizer& normalizer, const WordPiece& wordpiece,
              std::span<const SpecialToken> special_tokens, std::vector<int32_t>* ids);

  // Stops early once there are more than `limit` ids: those that are there are final, because
  // tokens do not depend on what follows their word. Linear in the length of `text`; ill-formed
  // UTF-8 counts as U+FFFD, which is dropped.
  void Scan(std::string_view text, size_t limit);

 private:
  size_t ScanAsciiWord(std::string_view text);
  size_t ScanOther(std::string_view text);
  void AppendChar(const NormalizedChar& c);
  void AppendToWord(char32_t c);
  void AppendIsolated(char32_t c);
  void HoldMark(const NormalizedChar& mark);
  void ReleaseMarks();
  void EndWord();
  // The special token that `text` starts with, the longest if several, or nullptr.
  const SpecialToken* FindSpecialToken(std::string_view text) const;

  const UnicodeNormalizer& normalizer_;
  const WordPiece& wordpiece_;
  const std::span<const SpecialToken> special_tokens_;
  std::vector<int32_t>& ids_;

  std::array<char, kMaxWordBytes> word_;  // its first kMaxWordChars characters
  size_t word_bytes_ = 0;
  size_t word_chars_ = 0;
  // Marks since the last character of combining class 0, ordered by class; they belong to the word.
  // More than a word may hold are counted only: the word is [UNK] then.
  std::array<NormalizedChar, kMaxWordChars> marks_;
  size_t num_marks_ = 0;
};

}  // namespace tailor
