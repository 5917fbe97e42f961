// SPDX-License-Identifier: Apache-2.0
#include "client/explain_command.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tailor::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

TEST(ParseLengths, ReadsNumbersAndRepetitions) {
  EXPECT_THAT(*ParseLengths("84"), ElementsAre(84));
  EXPECT_THAT(*ParseLengths("84,120"), ElementsAre(84, 120));
  EXPECT_THAT(*ParseLengths("2x16,3"), ElementsAre(16, 16, 3));
  EXPECT_THAT(*ParseLengths("100000x5"), SizeIs(100000));
}

TEST(ParseLengths, RefusesWhatIsNoListOfLengths) {
  for (const std::string text : {"", "x", "0", "-3", "84,", "3x", "x84", "2x3x4", "0x84", "1e3",
                                 "100001x5", "99999x5,2x5"}) {
    const auto lengths = ParseLengths(text);
    ASSERT_FALSE(lengths.ok()) << text;
    EXPECT_THAT(std::string(lengths.status().message()), HasSubstr("got \"" + text + "\""));
  }
}

}  // namespace
}  // namespace tailor::client
