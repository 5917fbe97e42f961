// SPDX-License-Identifier: Apache-2.0
#include "server/text/unicode_normalizer.h"

#include <algorithm>
#include <map>

#include "utf8proc.h"

#include "base/check.h"
#include "server/text/unicode_differences.h"

namespace tailor {
namespace {

namespace differences = unicode_differences;

// A canonical decomposition has at most 4 characters in Unicode 15.
constexpr int kMaxDecomposition = 8;

template <size_t kCount>
bool Contains(const differences::CodePointRange (&ranges)[kCount], char32_t c) {
  const auto* after = std::upper_bound(
      std::begin(ranges), std::end(ranges), c,
      [](char32_t value, const differences::CodePointRange& range) { return value < range.first; });
  return after != std::begin(ranges) && c <= (after - 1)->last;
}

utf8proc_category_t Category(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}

bool IsControl(char32_t c) {
  const utf8proc_category_t category = Category(c);
  return (category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF ||
          category == UTF8PROC_CATEGORY_CO) &&
         !Contains(differences::kNotControl, c);
}

// White_Space of Unicode; those of it that are controls (U+0085 among them) were dropped before.
bool IsSpace(char32_t c) {
  const utf8proc_category_t category = Category(c);
  return c == '\t' || c == '\n' || c == '\r' || category == UTF8PROC_CATEGORY_ZS ||
         category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP;
}

bool IsCjkIdeograph(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
         (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
         (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

bool IsPunctuation(char32_t c) {
  // BERT counts every ASCII symbol, also those that Unicode does not: $+<=>^`|~
  if (c < 0x80)
    return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) ||
           (c >= 123 && c <= 126);
  if (Contains(differences::kPunctuation, c)) return true;
  const utf8proc_category_t category = Category(c);
  return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO &&
         !Contains(differences::kNotPunctuation, c);
}

bool IsNonSpacingMark(char32_t c) {
  if (Contains(differences::kMark, c)) return true;
  return Category(c) == UTF8PROC_CATEGORY_MN && !Contains(differences::kNotMark, c);
}

uint8_t CombiningClass(char32_t c) {
  if (Contains(differences::kNotCombining, c)) return 0;
  return static_cast<uint8_t>(
      utf8proc_get_property(static_cast<utf8proc_int32_t>(c))->combining_class);
}

void AppendLowerCase(char32_t c, std::vector<char32_t>* out) {
  if (c == 0x130) {
    // The only lower case of more than one character.
    out->insert(out->end(), {U'i', 0x307});
    return;
  }
  for (const differences::LowerCase& difference : differences::kLowerCase) {
    if (difference.upper == c) return out->push_back(difference.lower);
  }
  out->push_back(static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
}

std::vector<char32_t> Decompose(char32_t c) {
  if (Contains(differences::kNotDecomposed, c)) return {c};
  utf8proc_int32_t decomposed[kMaxDecomposition];
  int last_boundary = 0;
  const utf8proc_ssize_t count =
      utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), decomposed, kMaxDecomposition,
                              UTF8PROC_DECOMPOSE, &last_boundary);
  TAILOR_CHECK(count >= 1 && count <= kMaxDecomposition);
  return {decomposed, decomposed + count};
}

// The reference's order: clean, CJK spaces, accents, lower case; punctuation is what comes out.
std::vector<NormalizedChar> Normalize(char32_t c, bool lower_case, bool strip_accents) {
  std::vector<NormalizedChar> result;
  std::vector<char32_t> lowered;
  for (const char32_t part : strip_accents ? Decompose(c) : std::vector<char32_t>{c}) {
    if (strip_accents && IsNonSpacingMark(part)) {
      // It was still there when the marks were put in order, so it parted its neighbours.
      if (CombiningClass(part) == 0) result.push_back({kNothing, 0, false});
      continue;
    }
    lowered.clear();
    if (lower_case) {
      AppendLowerCase(part, &lowered);
    } else {
      lowered.push_back(part);
    }
    for (const char32_t out : lowered) {
      const bool is_isolated = IsCjkIdeograph(c) || IsPunctuation(out);
      const uint8_t combining_class = strip_accents ? CombiningClass(part) : uint8_t{0};
      TAILOR_CHECK(!is_isolated || combining_class == 0);
      result.push_back({out, combining_class, is_isolated});
    }
  }
  return result;
}

}  // namespace

uint32_t UnicodeNormalizer::MakeEntry(char32_t c, bool lower_case, bool strip_accents) {
  const auto entry = [](CharAction action) { return static_cast<uint32_t>(action); };
  if (IsSpace(c)) return entry(CharAction::kSpace);
  const bool is_surrogate = c >= 0xD800 && c < 0xE000;  // decoding never yields one
  if (c == 0 || c == 0xFFFD || is_surrogate || IsControl(c)) return entry(CharAction::kDrop);
  const std::vector<NormalizedChar> mapping = Normalize(c, lower_case, strip_accents);
  if (mapping.empty()) return entry(CharAction::kDrop);
  if (mapping.size() == 1 && mapping[0].code_point == c && mapping[0].combining_class == 0) {
    return entry(mapping[0].is_isolated ? CharAction::kIsolated : CharAction::kLetter);
  }
  const uint32_t start = static_cast<uint32_t>(mappings_.size());
  mappings_.push_back({static_cast<char32_t>(mapping.size()), 0, false});
  mappings_.insert(mappings_.end(), mapping.begin(), mapping.end());
  return start << kActionBits | entry(CharAction::kMapped);
}

UnicodeNormalizer::UnicodeNormalizer(bool lower_case, bool strip_accents) : ascii_() {
  block_of_.reserve(kNumBlocks);
  std::map<Block, uint16_t> known;
  for (uint32_t index = 0; index < kNumBlocks; ++index) {
    Block block;
    for (uint32_t i = 0; i < kBlockSize; ++i) {
      block[i] = MakeEntry((index << kBlockBits) + i, lower_case, strip_accents);
    }
    const auto [found, is_new] = known.try_emplace(block, static_cast<uint16_t>(blocks_.size()));
    if (is_new) blocks_.push_back(block);
    block_of_.push_back(found->second);
  }
  for (size_t byte = 0; byte < ascii_.size(); ++byte) {
    const char32_t c = static_cast<char32_t>(byte);
    ascii_[byte] = {Action(c), static_cast<char>(byte)};
    if (ascii_[byte].action != CharAction::kMapped) continue;
    const std::span<const NormalizedChar> mapping = Mapping(c);
    TAILOR_CHECK(mapping.size() == 1 && !mapping[0].is_isolated && mapping[0].code_point < 0x80);
    ascii_[byte] = {CharAction::kLetter, static_cast<char>(mapping[0].code_point)};
  }
}

}  // namespace tailor
