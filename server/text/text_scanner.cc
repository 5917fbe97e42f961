// SPDX-License-Identifier: Apache-2.0
#include "server/text/text_scanner.h"

#include <algorithm>

#include "server/text/utf8.h"

namespace tailor {

TextScanner::TextScanner(const UnicodeNormalizer& normalizer, const WordPiece& wordpiece,
                         std::span<const SpecialToken> special_tokens, std::vector<int32_t>* ids)
    : normalizer_(normalizer), wordpiece_(wordpiece), special_tokens_(special_tokens), ids_(*ids) {}

void TextScanner::Scan(std::string_view text, size_t limit) {
  while (!text.empty() && ids_.size() <= limit) {
    const size_t num_bytes = ScanAsciiWord(text);
    text.remove_prefix(num_bytes);
    if (!text.empty()) text.remove_prefix(ScanOther(text));
  }
  ReleaseMarks();
  EndWord();
}

// Nearly all of nearly every text: ASCII letters and digits. Returns the bytes consumed, maybe 0.
size_t TextScanner::ScanAsciiWord(std::string_view text) {
  if (num_marks_ > 0) return 0;
  size_t i = 0;
  for (; i < text.size(); ++i) {
    const uint8_t byte = static_cast<uint8_t>(text[i]);
    if (byte >= 0x80 || normalizer_.AsciiAction(byte) != CharAction::kLetter) break;
    if (word_chars_ < kMaxWordChars) word_[word_bytes_++] = normalizer_.AsciiMapping(byte);
    ++word_chars_;
  }
  return i;
}

// One character of any kind, or one special token. Returns the bytes consumed.
size_t TextScanner::ScanOther(std::string_view text) {
  const DecodedChar c = DecodeUtf8(text);
  if (c.code_point == '[') {
    if (const SpecialToken* special = FindSpecialToken(text)) {
      ReleaseMarks();
      EndWord();
      ids_.push_back(special->id);
      return special->text.size();
    }
  }
  switch (normalizer_.Action(c.code_point)) {
    case CharAction::kDrop:
      break;
    case CharAction::kSpace:
      ReleaseMarks();
      EndWord();
      break;
    case CharAction::kLetter:
      AppendChar({c.code_point, 0, false});
      break;
    case CharAction::kIsolated:
      AppendChar({c.code_point, 0, true});
      break;
    case CharAction::kMapped:
      for (const NormalizedChar& mapped : normalizer_.Mapping(c.code_point)) AppendChar(mapped);
      break;
  }
  return static_cast<size_t>(c.num_bytes);
}

void TextScanner::AppendChar(const NormalizedChar& c) {
  if (c.combining_class > 0) return HoldMark(c);
  ReleaseMarks();
  if (c.code_point == kNothing) return;
  if (c.is_isolated) return AppendIsolated(c.code_point);
  AppendToWord(c.code_point);
}

void TextScanner::AppendToWord(char32_t c) {
  if (word_chars_ < kMaxWordChars) {
    word_bytes_ += static_cast<size_t>(EncodeUtf8(c, word_.data() + word_bytes_));
  }
  ++word_chars_;
}

void TextScanner::AppendIsolated(char32_t c) {
  EndWord();
  AppendToWord(c);
  EndWord();
}

void TextScanner::HoldMark(const NormalizedChar& mark) {
  if (num_marks_ < marks_.size()) {
    NormalizedChar* const end = marks_.data() + num_marks_;
    NormalizedChar* const place = std::upper_bound(
        marks_.data(), end, mark, [](const NormalizedChar& a, const NormalizedChar& b) {
          return a.combining_class < b.combining_class;
        });
    std::move_backward(place, end, end + 1);
    *place = mark;
  }
  ++num_marks_;
}

void TextScanner::ReleaseMarks() {
  if (num_marks_ == 0) return;
  const size_t num_held = std::min(num_marks_, marks_.size());
  for (size_t i = 0; i < num_held; ++i) AppendToWord(marks_[i].code_point);
  word_chars_ += num_marks_ - num_held;
  num_marks_ = 0;
}

void TextScanner::EndWord() {
  if (word_chars_ == 0) return;
  if (word_chars_ > kMaxWordChars) {
    ids_.push_back(wordpiece_.unknown_id());
  } else {
    wordpiece_.AppendPieces({word_.data(), word_bytes_}, &ids_);
  }
  word_bytes_ = 0;
  word_chars_ = 0;
}

const SpecialToken* TextScanner::FindSpecialToken(std::string_view text) const {
  const SpecialToken* longest = nullptr;
  for (const SpecialToken& special : special_tokens_) {
    if (!text.starts_with(special.text)) continue;
    if (longest == nullptr || special.text.size() > longest->text.size()) longest = &special;
  }
  return longest;
}

}  // namespace tailor
