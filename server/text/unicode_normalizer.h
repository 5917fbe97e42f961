// SPDX-License-Identifier: Apache-2.0
// What BERT's basic tokenizer does to each code point: cleaning, spaces around CJK ideographs,
// accents, lower case, and which characters stand alone as words. Equal to BertNormalizer followed
// by BertPreTokenizer of Hugging Face tokenizers for every code point (unicode_differences.h).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace tailor {

enum class CharAction : uint8_t {
  kDrop,      // control, NUL, U+FFFD, or a stripped accent
  kSpace,     // ends a word
  kLetter,    // goes into the word as it is
  kIsolated,  // is a word of its own, as it is: punctuation or a CJK ideograph
  kMapped,    // is replaced by Mapping()
};

// One character of a replacement. kNothing as code point stands for a stripped accent of combining
// class 0: it adds no character, but marks are not put in order across it.
inline constexpr char32_t kNothing = 0;
struct NormalizedChar {
  char32_t code_point;
  // Canonical combining class: neighbours above 0 are put in the order of their classes.
  // Always 0 unless accents are stripped, because only then the text is decomposed.
  uint8_t combining_class;
  bool is_isolated;  // a word of its own; its combining class is then 0
};

// Immutable after construction, so safe to share between threads. Construction asks utf8proc about
// every code point once (some ten milliseconds); afterwards there is no call into the library.
class UnicodeNormalizer {
 public:
  UnicodeNormalizer(bool lower_case, bool strip_accents);

  CharAction Action(char32_t c) const { return static_cast<CharAction>(Entry(c) & kActionMask); }

  // What a character of CharAction::kMapped becomes: at least one character.
  std::span<const NormalizedChar> Mapping(char32_t c) const {
    const uint32_t start = Entry(c) >> kActionBits;
    return {mappings_.data() + start + 1, mappings_[start].code_point};
  }

  // The same for ASCII, where every mapping is one byte and kMapped does not occur.
  CharAction AsciiAction(uint8_t byte) const { return ascii_[byte].action; }
  char AsciiMapping(uint8_t byte) const { return ascii_[byte].mapping; }

 private:
  static constexpr int kBlockBits = 7;
  static constexpr uint32_t kBlockSize = 1u << kBlockBits;
  static constexpr uint32_t kNumBlocks = 0x110000u >> kBlockBits;
  static constexpr int kActionBits = 3;
  static constexpr uint32_t kActionMask = (1u << kActionBits) - 1;

  struct AsciiChar {
    CharAction action;
    char mapping;
  };
  using Block = std::array<uint32_t, kBlockSize>;

  uint32_t Entry(char32_t c) const {
    return blocks_[block_of_[c >> kBlockBits]][c & (kBlockSize - 1)];
  }
  uint32_t MakeEntry(char32_t c, bool lower_case, bool strip_accents);

  std::array<AsciiChar, 128> ascii_;
  // Two-stage table; equal blocks are stored once. An entry is an action and, for kMapped, the
  // index in mappings_ of a head (its code_point is the length) that the characters follow.
  std::vector<uint16_t> block_of_;
  std::vector<Block> blocks_;
  std::vector<NormalizedChar> mappings_;
};

}  // namespace tailor
