// SPDX-License-Identifier: Apache-2.0
#include "server/text/tokenizer.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "base/thread.h"

namespace tailor {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Tokenizer MakeTokenizer() {
  return *Tokenizer::Create(
      {{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hello", "world", "##s", "!"}, true, true});
}

TEST(TokenizerTest, EncodesText) {
  const EncodedText text = MakeTokenizer().EncodeText("Héllo  WORLDS!");
  EXPECT_THAT(text.ids, ElementsAre(5, 6, 7, 8));
  EXPECT_FALSE(text.is_truncated);
}

TEST(TokenizerTest, AllSpecialTokensMatchInText) {
  EXPECT_THAT(MakeTokenizer().EncodeText("[PAD][UNK][CLS][SEP][MASK]").ids,
              ElementsAre(0, 1, 2, 3, 4));
}

TEST(TokenizerTest, LimitKeepsThePrefixOfTheWholeEncoding) {
  const Tokenizer tokenizer = MakeTokenizer();
  const std::string text = "hello worlds! hello[SEP]worlds";
  const EncodedText whole = tokenizer.EncodeText(text);
  for (size_t limit = 0; limit <= whole.ids.size() + 1; ++limit) {
    const EncodedText cut = tokenizer.EncodeText(text, static_cast<int>(limit));
    const size_t kept = std::min(limit, whole.ids.size());
    EXPECT_EQ(cut.ids, std::vector<int32_t>(whole.ids.begin(),
                                            whole.ids.begin() + static_cast<ptrdiff_t>(kept)));
    EXPECT_EQ(cut.is_truncated, limit < whole.ids.size());
  }
}

// Under ThreadSanitizer this shows that encoding writes nothing that is shared.
TEST(TokenizerTest, ThreadsShareOneTokenizer) {
  const Tokenizer tokenizer = MakeTokenizer();
  const std::string text = "hello W\u00D6RLDS! [SEP] \uD55C " + std::string(200, 'x');
  const EncodedText expected = tokenizer.EncodeText(text);
  std::vector<EncodedText> actual(4);
  {
    std::vector<Thread> threads;
    for (EncodedText& out : actual) {
      threads.emplace_back("encode", [&tokenizer, &text, &out] {
        for (int i = 0; i < 100; ++i) tokenizer.EncodeText(text, kNoTokenLimit, &out);
      });
    }
  }
  for (const EncodedText& out : actual) EXPECT_EQ(out.ids, expected.ids);
}

TEST(TokenizerTest, AWarmCallKeepsItsMemory) {
  const Tokenizer tokenizer = MakeTokenizer();
  const std::string text = "! ! ! hello worlds! \u00E9\u0301 [SEP] " + std::string(300, '!');
  EncodedText encoded;
  tokenizer.EncodeText(text, kNoTokenLimit, &encoded);
  const int32_t* const memory = encoded.ids.data();
  tokenizer.EncodeText(text, kNoTokenLimit, &encoded);
  EXPECT_EQ(encoded.ids.data(), memory);
}

TEST(TokenizerTest, AssemblesWithItsMarkers) {
  const Tokenizer tokenizer = MakeTokenizer();
  std::vector<int32_t> ids;
  std::vector<int32_t> types;
  EXPECT_FALSE(tokenizer.AssemblePair(tokenizer.EncodeText("hello"), tokenizer.EncodeText("world"),
                                      16, &ids, &types));
  EXPECT_THAT(ids, ElementsAre(2, 5, 3, 6, 3));
  EXPECT_THAT(types, ElementsAre(0, 0, 0, 1, 1));
}

TEST(TokenizerTest, MissingSpecialTokensAreRefused) {
  const std::vector<std::string> all = {"[UNK]", "[CLS]", "[SEP]"};
  EXPECT_TRUE(Tokenizer::Create({all, true, true}).ok());
  for (size_t missing = 0; missing < all.size(); ++missing) {
    std::vector<std::string> vocabulary = all;
    vocabulary[missing] = "other";
    const absl::Status status = Tokenizer::Create({vocabulary, true, true}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(all[missing]));
  }
}

TEST(TokenizerTest, EntriesThatAreNotUtf8AreRefused) {
  const absl::Status status =
      Tokenizer::Create({{"[UNK]", "[CLS]", "[SEP]", "a\xFF"}, true, true}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("entry 3"));
}

}  // namespace
}  // namespace tailor
