// SPDX-License-Identifier: Apache-2.0
#include "server/text/utf8.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tailor {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Case {
  std::string name;
  std::string ill_formed;
};

class IllFormedUtf8Test : public ::testing::TestWithParam<Case> {};

// The position is that of the sequence's first byte, at every alignment to the eight-byte steps,
// and whatever follows.
TEST_P(IllFormedUtf8Test, GivesThePositionOfTheSequence) {
  for (const std::string_view after : {"", "a", "ASCII behind it"}) {
    for (size_t position = 0; position < 20; ++position) {
      const std::string text =
          std::string(position, 'x') + GetParam().ill_formed + std::string(after);
      EXPECT_EQ(FirstInvalidUtf8(text), position) << text;
      const std::string behind_two_bytes = "\xC3\xA9" + text;
      EXPECT_EQ(FirstInvalidUtf8(behind_two_bytes), position + 2);
    }
  }
}

TEST_P(IllFormedUtf8Test, DecodesToTheReplacementCharacterOneByteAtATime) {
  const DecodedChar c = DecodeUtf8(GetParam().ill_formed);
  EXPECT_EQ(c.code_point, char32_t{0xFFFD});
  EXPECT_EQ(c.num_bytes, 1);
}

INSTANTIATE_TEST_SUITE_P(
    Table, IllFormedUtf8Test,
    ::testing::Values(Case{"StrayContinuation", "\x80"}, Case{"OverlongTwo", "\xC0\x80"},
                      Case{"OverlongTwoHigh", "\xC1\xBF"}, Case{"OverlongThree", "\xE0\x9F\xBF"},
                      Case{"OverlongFour", "\xF0\x8F\xBF\xBF"},
                      Case{"FirstSurrogate", "\xED\xA0\x80"}, Case{"LastSurrogate", "\xED\xBF\xBF"},
                      Case{"AboveUnicode", "\xF4\x90\x80\x80"},
                      Case{"FiveBytes", "\xF8\x88\x80\x80\x80"}, Case{"FF", "\xFF"},
                      Case{"CutTwo", "\xC3"}, Case{"CutThree", "\xE2\x82"},
                      Case{"CutFour", "\xF0\x9F\x98"}),
    [](const auto& instance) { return instance.param.name; });

TEST(Utf8Test, EveryCodePointIsValidAndComesBack) {
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    char bytes[4];
    const int length = EncodeUtf8(c, bytes);
    const std::string_view text(bytes, static_cast<size_t>(length));
    ASSERT_EQ(FirstInvalidUtf8(text), std::nullopt) << static_cast<uint32_t>(c);
    const DecodedChar decoded = DecodeUtf8(text);
    ASSERT_EQ(decoded.code_point, c);
    ASSERT_EQ(decoded.num_bytes, length);
  }
}

TEST(Utf8Test, NulAndEmptyAreValid) {
  EXPECT_TRUE(ValidateUtf8("").ok());
  EXPECT_TRUE(ValidateUtf8(std::string_view("a\0b", 3)).ok());
}

TEST(Utf8Test, MessageHasBytePositionAndNoText) {
  const absl::Status status = ValidateUtf8("secret\xFF");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("byte 0xFF) at byte 6"));
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("secret")));
}

}  // namespace
}  // namespace tailor
