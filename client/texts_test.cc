// SPDX-License-Identifier: Apache-2.0
#include "client/texts.h"

#include <algorithm>
#include <string>
#include <vector>

#include "client/terminal.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tailor::client {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(SplitLines, KeepsEmptyLinesAndDropsLineEnds) {
  EXPECT_THAT(SplitLines("a\r\n\nb"), ElementsAre("a", "", "b"));
  EXPECT_THAT(SplitLines("a\n"), ElementsAre("a"));
  EXPECT_THAT(SplitLines("\n"), ElementsAre(""));
  EXPECT_THAT(SplitLines("a\rb"), ElementsAre("a\rb"));
  EXPECT_THAT(SplitLines(""), IsEmpty());
}

size_t Words(const std::string& text) {
  return static_cast<size_t>(std::count(text.begin(), text.end(), ' ')) + 1;
}

// The lengths are what the report claims, else figures would be quoted for another load.
TEST(SyntheticDocuments, HaveTheStatedLengths) {
  std::vector<size_t> words;
  for (const std::string& text : SyntheticDocuments(4000, 3)) words.push_back(Words(text));
  std::sort(words.begin(), words.end());
  EXPECT_NEAR(static_cast<double>(words[2000]), 50, 3);
  EXPECT_NEAR(static_cast<double>(words[3800]), 160, 16);
  EXPECT_GE(words.front(), 1u);
  EXPECT_LE(words.back(), 400u);
}

TEST(SyntheticDocuments, DependOnTheSeedOnly) {
  EXPECT_EQ(SyntheticDocuments(5, 1), SyntheticDocuments(5, 1));
  EXPECT_NE(SyntheticDocuments(5, 1), SyntheticDocuments(5, 2));
}

TEST(TextPool, GoesRoundAtTheEnd) {
  TextPool pool({"q"}, {"a", "b"}, 1);
  const CallTexts texts = pool.Draw(5);
  EXPECT_EQ(texts.query, "q");
  ASSERT_EQ(texts.documents.size(), 5u);
  for (size_t i = 1; i < 5; ++i) EXPECT_NE(texts.documents[i], texts.documents[i - 1]);
  EXPECT_THAT(pool.Draw(0).documents, IsEmpty());
}

TEST(FitColumns, CutsAtColumnsNotBytes) {
  EXPECT_EQ(FitColumns("short", 5), "short");
  EXPECT_EQ(FitColumns("longer", 5), "long…");
  EXPECT_EQ(FitColumns("äöüßé", 5), "äöüßé");
  EXPECT_EQ(FitColumns("漢字漢字", 5), "漢字…");
  EXPECT_EQ(FitColumns("x", 0), "");
}

TEST(FitColumns, LetsNothingDriveTheTerminal) {
  EXPECT_EQ(FitColumns("a\x1b[2J\tb\r\n", 20), "a [2J b  ");
  EXPECT_EQ(FitColumns("bad\xff utf8", 20), "bad? utf8");
  EXPECT_EQ(FitColumns("cut\xe2\x82", 20), "cut??");
  EXPECT_EQ(FitColumns("right\u202eleft", 20), "right left");
}

}  // namespace
}  // namespace tailor::client
