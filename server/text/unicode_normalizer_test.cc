// SPDX-License-Identifier: Apache-2.0
#include "server/text/unicode_normalizer.h"

#include <string>

#include "gtest/gtest.h"
#include "utf8proc.h"

#include "server/text/unicode_differences.h"

namespace tailor {
namespace {

std::u32string Mapped(const UnicodeNormalizer& normalizer, char32_t c) {
  std::u32string text;
  for (const NormalizedChar& mapped : normalizer.Mapping(c)) text.push_back(mapped.code_point);
  return text;
}

// Another utf8proc has other differences from the reference: run make_unicode_differences.py.
TEST(UnicodeNormalizerTest, DifferencesAreForTheInstalledUtf8proc) {
  EXPECT_EQ(unicode_differences::kUtf8procUnicodeVersion, utf8proc_unicode_version());
}

TEST(UnicodeNormalizerTest, CleansControlsAndSpaces) {
  const UnicodeNormalizer normalizer(true, true);
  for (const char32_t c : {0x0, 0x1, 0x7F, 0x85, 0xAD, 0x200B, 0x200D, 0xFEFF, 0xFFFD, 0xE000}) {
    EXPECT_EQ(normalizer.Action(c), CharAction::kDrop) << static_cast<uint32_t>(c);
  }
  for (const char32_t c : {0x9, 0xA, 0xD, 0x20, 0xA0, 0x1680, 0x2003, 0x2028, 0x2029, 0x3000}) {
    EXPECT_EQ(normalizer.Action(c), CharAction::kSpace) << static_cast<uint32_t>(c);
  }
}

TEST(UnicodeNormalizerTest, StripsAccentsAndLowersCase) {
  const UnicodeNormalizer normalizer(true, true);
  EXPECT_EQ(Mapped(normalizer, U'É'), U"e");
  EXPECT_EQ(Mapped(normalizer, U'İ'), U"i");
  EXPECT_EQ(Mapped(normalizer, U'ẞ'), U"ß");
  EXPECT_EQ(Mapped(normalizer, U'한'), U"\u1112\u1161\u11AB");
  EXPECT_EQ(normalizer.Action(0x301), CharAction::kDrop);
  EXPECT_EQ(normalizer.Action(U'ﬁ'), CharAction::kLetter);  // NFD, not NFKD
}

TEST(UnicodeNormalizerTest, LowersCaseWithoutStripping) {
  const UnicodeNormalizer normalizer(true, false);
  EXPECT_EQ(Mapped(normalizer, U'É'), U"é");
  EXPECT_EQ(Mapped(normalizer, U'İ'), U"i\u0307");
  EXPECT_EQ(normalizer.Action(0x301), CharAction::kLetter);
}

TEST(UnicodeNormalizerTest, CasedKeepsEverything) {
  const UnicodeNormalizer normalizer(false, false);
  EXPECT_EQ(normalizer.Action(U'É'), CharAction::kLetter);
  EXPECT_EQ(normalizer.AsciiMapping('A'), 'A');
}

TEST(UnicodeNormalizerTest, IsolatesPunctuationAndIdeographs) {
  const UnicodeNormalizer normalizer(true, true);
  for (const char32_t c : {U'$', U'[', U'~', U'¿', U'。', U'一', U'㐀', U'𠀀'}) {
    EXPECT_EQ(normalizer.Action(c), CharAction::kIsolated) << static_cast<uint32_t>(c);
  }
  for (const char32_t c : {U'か', U'カ', U'ㄅ', U'€', U'°'}) {
    EXPECT_NE(normalizer.Action(c), CharAction::kIsolated) << static_cast<uint32_t>(c);
  }
  // Compatibility ideographs and punctuation that decompose stand alone as what they become.
  EXPECT_TRUE(normalizer.Mapping(0xF900)[0].is_isolated);
  EXPECT_TRUE(normalizer.Mapping(0x37E)[0].is_isolated);  // Greek question mark -> ';'
}

TEST(UnicodeNormalizerTest, FollowsTheReferenceWhereVersionsDiffer) {
  const UnicodeNormalizer normalizer(true, true);
  EXPECT_EQ(normalizer.Action(0x8E2), CharAction::kLetter);     // a control to utf8proc
  EXPECT_EQ(normalizer.Action(0x61D), CharAction::kLetter);     // punctuation to utf8proc
  EXPECT_EQ(normalizer.Action(0x166D), CharAction::kIsolated);  // a symbol to utf8proc
  EXPECT_EQ(normalizer.Action(0x898), CharAction::kLetter);     // a mark to utf8proc
  EXPECT_EQ(Mapped(normalizer, 0x1C89), U"\u1C8A");             // unassigned to utf8proc
}

}  // namespace
}  // namespace tailor
