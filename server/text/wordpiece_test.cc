// SPDX-License-Identifier: Apache-2.0
#include "server/text/wordpiece.h"

#include <map>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tailor {
namespace {

using ::testing::ElementsAre;

std::vector<int32_t> Pieces(const WordPiece& wordpiece, std::string_view word) {
  std::vector<int32_t> ids;
  wordpiece.AppendPieces(word, &ids);
  return ids;
}

TEST(WordPieceTest, TakesTheLongestPiece) {
  const std::vector<std::string> vocabulary = {"[UNK]", "a", "##b", "##bc", "ab", "##cd", "é"};
  const WordPiece wordpiece(vocabulary, 0);
  EXPECT_THAT(Pieces(wordpiece, "a"), ElementsAre(1));
  EXPECT_THAT(Pieces(wordpiece, "ab"), ElementsAre(4));
  EXPECT_THAT(Pieces(wordpiece, "abbc"), ElementsAre(4, 3));
  EXPECT_THAT(Pieces(wordpiece, "éb"), ElementsAre(6, 2));
}

TEST(WordPieceTest, AWordWithoutAWayThroughIsOneUnknown) {
  const std::vector<std::string> vocabulary = {"[UNK]", "a", "##b", "ab", "##bcd"};
  const WordPiece wordpiece(vocabulary, 0);
  EXPECT_THAT(Pieces(wordpiece, "b"), ElementsAre(0));     // only as a following piece
  EXPECT_THAT(Pieces(wordpiece, "aba"), ElementsAre(0));   // "a" only as a first piece
  EXPECT_THAT(Pieces(wordpiece, "abcd"), ElementsAre(0));  // greedy: a + ##bcd is not tried
}

TEST(WordPieceTest, OfEqualEntriesTheLastCounts) {
  const std::vector<std::string> vocabulary = {"[UNK]", "a", "a"};
  EXPECT_THAT(Pieces(WordPiece(vocabulary, 0), "a"), ElementsAre(2));
}

TEST(WordPieceTest, KeepsWhatIsThere) {
  const std::vector<std::string> vocabulary = {"[UNK]", "a"};
  std::vector<int32_t> ids = {7};
  WordPiece(vocabulary, 0).AppendPieces("ax", &ids);
  EXPECT_THAT(ids, ElementsAre(7, 0));
}

// The definition, letter by letter.
std::vector<int32_t> NaivePieces(const std::map<std::string, int32_t>& ids_of, std::string word) {
  std::vector<int32_t> ids;
  size_t start = 0;
  while (start < word.size()) {
    size_t end = word.size();
    for (; end > start; --end) {
      const auto found = ids_of.find((start > 0 ? "##" : "") + word.substr(start, end - start));
      if (found == ids_of.end()) continue;
      ids.push_back(found->second);
      break;
    }
    if (end == start) return {0};
    start = end;
  }
  return ids;
}

TEST(WordPieceTest, EqualsTheDefinitionOnRandomVocabularies) {
  std::mt19937 random(5);
  const auto word = [&](size_t max_length) {
    std::string text;
    for (size_t n = 1 + random() % max_length; n > 0; --n)
      text += static_cast<char>('a' + random() % 3);
    return text;
  };
  for (int round = 0; round < 50; ++round) {
    std::vector<std::string> vocabulary = {"[UNK]"};
    for (int i = 0; i < 60; ++i) vocabulary.push_back((random() % 2 ? "##" : "") + word(6));
    std::map<std::string, int32_t> ids_of;
    for (size_t i = 0; i < vocabulary.size(); ++i) ids_of[vocabulary[i]] = static_cast<int32_t>(i);
    const WordPiece wordpiece(vocabulary, 0);
    for (int i = 0; i < 200; ++i) {
      const std::string text = word(20);
      ASSERT_EQ(Pieces(wordpiece, text), NaivePieces(ids_of, text)) << text;
    }
  }
}

}  // namespace
}  // namespace tailor
