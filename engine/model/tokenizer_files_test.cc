// SPDX-License-Identifier: Apache-2.0
#include "engine/model/tokenizer_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "engine/model/sha256.h"
#include "tests/testing/safetensors_writer.h"
#include "tests/testing/temp_folder.h"

namespace tailor {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::TempFolder;
using testing::WriteFile;

constexpr const char* kLines = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nword\n##s\n";

json TokenizerJson() {
  return {{"added_tokens", {{{"id", 2}, {"content", "[CLS]"}}}},
          {"normalizer",
           {{"type", "BertNormalizer"}, {"lowercase", false}, {"strip_accents", nullptr}}},
          {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
          {"model",
           {{"type", "WordPiece"},
            {"unk_token", "[UNK]"},
            {"continuing_subword_prefix", "##"},
            {"max_input_chars_per_word", 100},
            {"vocab",
             {{"[PAD]", 0}, {"[UNK]", 1}, {"[CLS]", 2}, {"[SEP]", 3}, {"word", 4}, {"##s", 5}}}}}};
}

class TokenizerFilesTest : public ::testing::Test {
 protected:
  void Write(const std::string& name, const std::string& text) {
    WriteFile(temp_.path() / name, text);
  }
  absl::StatusOr<TokenizerFiles> Read() {
    return ReadTokenizerFiles(*ModelFolder::Open(temp_.path(), temp_.path()));
  }
  std::string Problem() {
    const auto files = Read();
    return files.ok() ? "accepted" : std::string(files.status().message());
  }
  TempFolder temp_;
};

TEST_F(TokenizerFilesTest, ReadsLinesWithOrWithoutALastNewline) {
  Write("vocab.txt", kLines);
  const auto files = Read();
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_THAT(files->spec.vocabulary,
              ElementsAre("[PAD]", "[UNK]", "[CLS]", "[SEP]", "word", "##s"));
  EXPECT_TRUE(files->spec.lower_case);
  EXPECT_TRUE(files->spec.strip_accents);
  EXPECT_EQ(files->spec.sha256, Sha256Hex(kLines));
  EXPECT_EQ(files->file_sha256, files->spec.sha256);
  Write("vocab.txt", "[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\nword\r\n##s");
  EXPECT_EQ(Read()->spec.sha256, files->spec.sha256);
}

TEST_F(TokenizerFilesTest, TokenizerJsonAloneGivesTheSameVocabulary) {
  json tokenizer = TokenizerJson();
  Write("tokenizer.json", tokenizer.dump());
  const auto files = Read();
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_EQ(files->spec.sha256, Sha256Hex(kLines));
  EXPECT_FALSE(files->spec.lower_case);
  EXPECT_FALSE(files->spec.strip_accents);
  // Added tokens may follow the vocabulary.
  tokenizer["added_tokens"].push_back({{"id", 6}, {"content", "[NEW]"}});
  Write("tokenizer.json", tokenizer.dump());
  EXPECT_EQ(Read()->spec.vocabulary.back(), "[NEW]");
}

TEST_F(TokenizerFilesTest, TokenizerConfigDecidesOverTheNormalizer) {
  Write("tokenizer.json", TokenizerJson().dump());
  Write("tokenizer_config.json",
        R"({"do_lower_case": true, "strip_accents": false, "model_max_length": 256})");
  const auto files = Read();
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_TRUE(files->spec.lower_case);
  EXPECT_FALSE(files->spec.strip_accents);
  EXPECT_EQ(files->max_tokens, 256);
  Write("tokenizer_config.json", R"({"model_max_length": 1000000000000000019884624838656})");
  EXPECT_EQ(Read()->max_tokens, std::nullopt);
}

TEST_F(TokenizerFilesTest, RefusesFilesThatDisagree) {
  Write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\nwort\n##s\n");
  Write("tokenizer.json", TokenizerJson().dump());
  EXPECT_THAT(Problem(), HasSubstr("tokenizer.json: expected the 6 entries of vocab.txt, got 6, "
                                   "the first difference at id 4"));
}

TEST_F(TokenizerFilesTest, RefusesOtherTokenizers) {
  const auto problem = [this](const char* pointer, const json& value) {
    json tokenizer = TokenizerJson();
    tokenizer[json::json_pointer(pointer)] = value;
    Write("tokenizer.json", tokenizer.dump());
    return Problem();
  };
  EXPECT_THAT(problem("/model/type", "BPE"),
              HasSubstr("tokenizer.json: model.type: expected \"WordPiece\", got \"BPE\""));
  EXPECT_THAT(problem("/model/vocab/word", 9), HasSubstr("ids without gaps, got none for 4"));
  EXPECT_THAT(problem("/model/vocab/word", 3), HasSubstr("expected one entry at id 3"));
  EXPECT_THAT(problem("/model/vocab/word", -1), HasSubstr("expected ids below"));
  EXPECT_THAT(problem("/model/vocab/word", 4'000'000'000U), HasSubstr("expected ids below"));
  EXPECT_THAT(problem("/model/max_input_chars_per_word", 50), HasSubstr("[100, 100], got 50"));
  EXPECT_THAT(problem("/normalizer/type", "NFKC"), HasSubstr("normalizer.type"));
  EXPECT_THAT(problem("/normalizer/handle_chinese_chars", false), HasSubstr("expected true"));
  EXPECT_THAT(problem("/pre_tokenizer/type", "Whitespace"), HasSubstr("pre_tokenizer.type"));
}

TEST_F(TokenizerFilesTest, RefusesOtherTokenizerClasses) {
  Write("vocab.txt", kLines);
  Write("tokenizer_config.json", R"({"tokenizer_class": "RobertaTokenizer"})");
  EXPECT_THAT(Problem(), HasSubstr("tokenizer_config.json: tokenizer_class: expected one of"));
  Write("tokenizer_config.json", R"({"tokenize_chinese_chars": false})");
  EXPECT_THAT(Problem(), HasSubstr("tokenize_chinese_chars: expected true, got false"));
}

}  // namespace
}  // namespace tailor
