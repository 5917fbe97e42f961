// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/request_encoding.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/testing/pipeline_harness.h"

namespace tailor {
namespace {

using ::testing::ElementsAre;

TEST(EncodeRequest, PairsAndSingles) {
  const auto tokenizer = MakeWordTokenizer();
  const std::string query = "w1 w2";
  const std::string document = "w3";
  Request request;
  request.texts = {{query, document}, {document, std::nullopt}, {query, std::string_view()}};
  const EncodedRequest encoded = EncodeRequest(*tokenizer, request, 512);
  // [CLS] 2, [SEP] 3, w0 is 5.
  EXPECT_THAT(encoded.ids, ElementsAre(2, 6, 7, 3, 8, 3, 2, 8, 3, 2, 6, 7, 3, 3));
  EXPECT_THAT(encoded.types, ElementsAre(0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1));
  EXPECT_THAT(encoded.lengths, ElementsAre(6, 3, 5));
  EXPECT_THAT(encoded.truncated, ElementsAre(0, 0, 0));
  EXPECT_EQ(encoded.work.tokens, 14);
  EXPECT_EQ(encoded.work.squares, 36 + 9 + 25);
}

// Two pairs with equal but distinct first texts, then a different one: none may be mixed up.
TEST(EncodeRequest, FirstTextsOfIndependentPairs) {
  const auto tokenizer = MakeWordTokenizer();
  const std::string a = "w1";
  const std::string b = "w2";
  Request request;
  request.kind = RequestKind::kScore;
  request.texts = {{a, b}, {b, a}, {a, a}};
  const EncodedRequest encoded = EncodeRequest(*tokenizer, request, 512);
  EXPECT_THAT(encoded.ids, ElementsAre(2, 6, 3, 7, 3, 2, 7, 3, 6, 3, 2, 6, 3, 6, 3));
}

TEST(EncodeRequest, CutsToTheLongestInput) {
  const auto tokenizer = MakeWordTokenizer();
  const std::string text = Words(50);
  Request request;
  request.texts = {{text, text}, {text, std::nullopt}, {"w1", std::nullopt}};
  const EncodedRequest encoded = EncodeRequest(*tokenizer, request, 16);
  EXPECT_THAT(encoded.lengths, ElementsAre(16, 16, 3));
  EXPECT_THAT(encoded.truncated, ElementsAre(1, 1, 0));
}

TEST(EstimateTokens, IsBoundedByTheLongestInput) {
  const std::string text(1000, 'x');
  Request request;
  request.texts = {{text, text}, {"", ""}};
  EXPECT_EQ(EstimateTokens(request, 128), 128 + 3);
  EXPECT_EQ(EstimateTokens(request, 10000), 503 + 3);
}

}  // namespace
}  // namespace tailor
