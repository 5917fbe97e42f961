// SPDX-License-Identifier: Apache-2.0
#include "server/text/pair_encoder.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tailor {
namespace {

using ::testing::ElementsAre;

constexpr SequenceMarkers kMarkers = {101, 102};

EncodedText Text(std::vector<int32_t> ids, bool is_truncated = false) {
  return {std::move(ids), is_truncated};
}

struct Assembled {
  std::vector<int32_t> ids = {-1};
  std::vector<int32_t> types = {-1};
  bool truncated = false;
};

Assembled Pair(const EncodedText& query, const EncodedText& document, int max_tokens) {
  Assembled out;
  out.truncated = AssemblePair(kMarkers, query, document, max_tokens, &out.ids, &out.types);
  return out;
}

TEST(PairEncoderTest, PutsMarkersAndTypes) {
  const Assembled out = Pair(Text({1, 2}), Text({3, 4, 5}), 8);
  EXPECT_THAT(out.ids, ElementsAre(101, 1, 2, 102, 3, 4, 5, 102));
  EXPECT_THAT(out.types, ElementsAre(0, 0, 0, 0, 1, 1, 1, 1));
  EXPECT_FALSE(out.truncated);
}

TEST(PairEncoderTest, EmptyTextsAreValid) {
  const Assembled out = Pair(Text({}), Text({}), 8);
  EXPECT_THAT(out.ids, ElementsAre(101, 102, 102));
  EXPECT_THAT(out.types, ElementsAre(0, 0, 1));
  EXPECT_FALSE(out.truncated);
}

TEST(PairEncoderTest, CutsTheLongerTextFirst) {
  const Assembled out = Pair(Text({1, 2}), Text({3, 4, 5}), 7);
  EXPECT_THAT(out.ids, ElementsAre(101, 1, 2, 102, 3, 4, 102));
  EXPECT_TRUE(out.truncated);
}

TEST(PairEncoderTest, MarkersStayWhateverTheLimit) {
  for (const int max_tokens : {-1, 0, 2, 3}) {
    const Assembled out = Pair(Text({1}), Text({2}), max_tokens);
    EXPECT_THAT(out.ids, ElementsAre(101, 102, 102));
    EXPECT_TRUE(out.truncated);
  }
}

// The definition: take one token at a time from the longer text; from the document when they are
// equally long and the query was not the longer one, so that the odd token stays as it does in the
// reference.
PairLengths NaiveLongestFirst(PairLengths lengths, size_t max_content) {
  const bool query_was_longer = lengths.query > lengths.document;
  while (lengths.query + lengths.document > max_content) {
    const bool cut_query =
        lengths.query == lengths.document ? !query_was_longer : lengths.query > lengths.document;
    --(cut_query ? lengths.query : lengths.document);
  }
  return lengths;
}

TEST(PairEncoderTest, LongestFirstEqualsTakingOneTokenAtATime) {
  for (size_t max_content = 0; max_content < 16; ++max_content) {
    for (size_t query = 0; query < 20; ++query) {
      for (size_t document = 0; document < 20; ++document) {
        const PairLengths expected = NaiveLongestFirst({query, document}, max_content);
        const PairLengths actual = TruncateLongestFirst({query, document}, max_content);
        ASSERT_EQ(actual.query, expected.query) << query << " " << document << " " << max_content;
        ASSERT_EQ(actual.document, expected.document);
      }
    }
  }
}

// Documents cut while they were encoded give the same sequence as whole ones.
TEST(PairEncoderTest, DocumentsCutAtEncodingChangeNothing) {
  const auto make = [](size_t length, size_t limit) {
    EncodedText text;
    for (size_t i = 0; i < length; ++i) text.ids.push_back(static_cast<int32_t>(i));
    if (length > limit) {
      text.ids.resize(limit);
      text.is_truncated = true;
    }
    return text;
  };
  for (int max_tokens = 3; max_tokens < 12; ++max_tokens) {
    const size_t limit = static_cast<size_t>(max_tokens);
    for (size_t query = 0; query < 20; ++query) {
      for (size_t document = 0; document < 20; ++document) {
        const Assembled whole = Pair(make(query, 100), make(document, 100), max_tokens);
        const EncodedText query_text = make(query, 100);
        const size_t cut_at = static_cast<size_t>(DocumentTokenLimit(query_text, max_tokens));
        const Assembled cut = Pair(query_text, make(document, cut_at), max_tokens);
        ASSERT_EQ(whole.ids, cut.ids);
        ASSERT_EQ(whole.types, cut.types);
        ASSERT_EQ(whole.truncated, cut.truncated);
        ASSERT_EQ(whole.truncated, query + document + kNumPairMarkers > limit);
      }
    }
  }
}

TEST(PairEncoderTest, SingleText) {
  std::vector<int32_t> ids = {-1};
  std::vector<int32_t> types = {-1};
  EXPECT_FALSE(AssembleSingle(kMarkers, Text({1, 2}), 4, &ids, &types));
  EXPECT_THAT(ids, ElementsAre(101, 1, 2, 102));
  EXPECT_THAT(types, ElementsAre(0, 0, 0, 0));
  EXPECT_TRUE(AssembleSingle(kMarkers, Text({1, 2}), 3, &ids, &types));
  EXPECT_THAT(ids, ElementsAre(101, 1, 102));
  EXPECT_TRUE(AssembleSingle(kMarkers, Text({1, 2}, true), 10, &ids, &types));
}

}  // namespace
}  // namespace tailor
