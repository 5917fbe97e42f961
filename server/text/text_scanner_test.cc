// SPDX-License-Identifier: Apache-2.0
#include "server/text/text_scanner.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tailor {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::SizeIs;

enum : int32_t { kUnk, kA, kFollowingA, kSep, kLongSep, kBracket, kClose, kSepWord, kHan };

class TextScannerTest : public ::testing::Test {
 protected:
  std::vector<int32_t> Scan(std::string_view text, size_t limit = 1u << 30) {
    std::vector<int32_t> ids;
    TextScanner(normalizer_, wordpiece_, special_tokens_, &ids).Scan(text, limit);
    return ids;
  }

  const std::vector<std::string> vocabulary_ = {"[UNK]", "a", "##a", "[SEP]", "[SEP]]",
                                                "[",     "]", "sep", "一"};
  const UnicodeNormalizer normalizer_{true, true};
  const WordPiece wordpiece_{vocabulary_, kUnk};
  const std::vector<SpecialToken> special_tokens_ = {{"[SEP]", kSep}, {"[SEP]]", kLongSep}};
};

TEST_F(TextScannerTest, SplitsAtSpacesPunctuationAndIdeographs) {
  EXPECT_THAT(Scan(" a\ta[a一a "), ElementsAre(kA, kA, kBracket, kA, kHan, kA));
  EXPECT_THAT(Scan(""), ElementsAre());
  EXPECT_THAT(Scan(" \n\u200B"), ElementsAre());
}

TEST_F(TextScannerTest, DroppedCharactersDoNotEndAWord) {
  EXPECT_THAT(Scan(std::string_view("a\0a\x7F\u00ADa\u0301", 9)),
              ElementsAre(kA, kFollowingA, kFollowingA));
  EXPECT_THAT(Scan("a\xFF\xC3"), ElementsAre(kA));
}

TEST_F(TextScannerTest, SpecialTokensMatchInRawTextOnly) {
  EXPECT_THAT(Scan("a[SEP]a"), ElementsAre(kA, kSep, kA));
  EXPECT_THAT(Scan("[[SEP]"), ElementsAre(kBracket, kSep));
  EXPECT_THAT(Scan("[SEP]]"), ElementsAre(kLongSep));
  EXPECT_THAT(Scan("[sep]"), ElementsAre(kBracket, kSepWord, kClose));
  EXPECT_THAT(Scan("[S\u200BEP]"), ElementsAre(kBracket, kSepWord, kClose));
}

TEST_F(TextScannerTest, WordsOfMoreThan100CharactersAreUnknown) {
  EXPECT_THAT(Scan(std::string(99, 'a')), SizeIs(99));
  EXPECT_THAT(Scan(std::string(100, 'a')), SizeIs(100));
  EXPECT_THAT(Scan(std::string(101, 'a') + " a"), ElementsAre(kUnk, kA));
  std::string accented;
  for (int i = 0; i < 100; ++i) accented += "a\u0301";  // counted after normalization
  EXPECT_THAT(Scan(accented), SizeIs(100));
}

TEST_F(TextScannerTest, EndlessWordsAndMarksCostNoMemory) {
  const size_t num_bytes = 10u << 20;
  EXPECT_THAT(Scan(std::string(num_bytes, 'a') + " a"), ElementsAre(kUnk, kA));
  std::string marks = "a";
  while (marks.size() < num_bytes) marks += "\U0001D165";  // a spacing mark of class 216
  EXPECT_THAT(Scan(marks + " a"), ElementsAre(kUnk, kA));
}

TEST_F(TextScannerTest, StopsBehindTheLimit) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "a ";
  const std::vector<int32_t> ids = Scan(text, 10);
  EXPECT_THAT(ids, SizeIs(11));
  EXPECT_THAT(ids, Each(kA));
}

// U+1D165 (216) and U+302E (224) change places; a starter, or a stripped mark of class 0 such as
// U+0902, between them keeps them where they are.
TEST_F(TextScannerTest, OrdersMarksByCombiningClass) {
  const std::string low = "\U0001D165";
  const std::string high = "\u302E";
  const std::vector<std::string> vocabulary = {"[UNK]", "a" + low + high, "a" + high + low};
  const WordPiece wordpiece(vocabulary, 0);
  const auto scan = [&](const std::string& text) {
    std::vector<int32_t> ids;
    TextScanner(normalizer_, wordpiece, {}, &ids).Scan(text, 100);
    return ids;
  };
  EXPECT_THAT(scan("a" + low + high), ElementsAre(1));
  EXPECT_THAT(scan("a" + high + low), ElementsAre(1));
  EXPECT_THAT(scan("a" + high + "\u200B" + low), ElementsAre(1));
  EXPECT_THAT(scan("a" + high + "\u0301" + low), ElementsAre(1));
  EXPECT_THAT(scan("a" + high + "\u0902" + low), ElementsAre(2));
}

}  // namespace
}  // namespace tailor
