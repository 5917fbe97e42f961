// SPDX-License-Identifier: Apache-2.0
#include "server/simulator/profile.h"

#include <filesystem>
#include <string>

#include "gtest/gtest.h"

namespace tailor {
namespace {

constexpr char kGood[] = R"({
 "name": "two", "source": "a test", "capacity_cut": "small",
 "request": {"documents": 2, "tokens": 100},
 "limits": {"max_tokens": 1000, "max_sequences": 8, "max_sequence_tokens": 128},
 "server": {"reply_margin_us": 500},
 "cuts": [{"id": "large", "quality": 0.9, "fixed_us": 100, "per_token_us": 10},
          {"id": "small", "quality": 0.5, "per_row_us": 50, "per_square_us": 0.1}]})";

TEST(ParseProfile, ReadsEveryKey) {
  const absl::StatusOr<Profile> profile = ParseProfile(kGood, "test");
  ASSERT_TRUE(profile.ok()) << profile.status();
  EXPECT_EQ(profile->capacity_cut, 1);
  EXPECT_EQ(profile->limits.max_sequences, 8);
  EXPECT_EQ(profile->reply_margin, std::chrono::microseconds(500));
  ASSERT_EQ(profile->cuts.size(), 2u);
  EXPECT_DOUBLE_EQ(profile->cuts[0].cost.fixed, 1e-4);
  EXPECT_DOUBLE_EQ(profile->cuts[1].cost.per_square, 1e-7);
  // Two rows of 100 tokens at 10 us, in one batch.
  EXPECT_NEAR(BudgetUnitSeconds(*profile), 2.1e-3, 1e-9);
}

struct BadCase {
  std::string from;
  std::string to;
  std::string message;
};

class BadProfileTest : public ::testing::TestWithParam<BadCase> {};

TEST_P(BadProfileTest, NamesFileKeyAndWhatWasExpected) {
  std::string text = kGood;
  const size_t at = text.find(GetParam().from);
  ASSERT_NE(at, std::string::npos);
  text.replace(at, GetParam().from.size(), GetParam().to);
  const absl::StatusOr<Profile> profile = ParseProfile(text, "p.json");
  ASSERT_FALSE(profile.ok());
  EXPECT_EQ(profile.status().message(), "profile p.json" + GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    All, BadProfileTest,
    ::testing::Values(
        BadCase{"\"quality\": 0.9", "\"quality\": \"good\"",
                ": cuts[0].quality: expected a number in [0, 1], got \"good\""},
        BadCase{"\"quality\": 0.9, ", "", ": cuts[0].quality: expected a value, got nothing"},
        BadCase{"fixed_us", "fixd_us",
                ": cuts[0]: expected a known key, got \"fixd_us\" (nearest: \"fixed_us\")"},
        BadCase{"\"per_token_us\": 10", "\"per_token_us\": 0",
                ": cuts[0].per_token_us: expected above 0, or per_square_us or per_row_us, got 0"},
        BadCase{"\"id\": \"small\"", "\"id\": \"large\"",
                ": cuts[1].id: expected an id that no other cut has, got \"large\""},
        BadCase{"\"capacity_cut\": \"small\"", "\"capacity_cut\": \"tiny\"",
                ": capacity_cut: expected the id of a cut, got \"tiny\""},
        BadCase{"\"tokens\": 100", "\"tokens\": 129",
                ": request.tokens: expected at most limits.max_sequence_tokens, got 129"},
        BadCase{"\"documents\": 2", "\"documents\": 1.5",
                ": request.documents: expected an integer in [1, 1048576], got 1.5"}));

TEST(ParseProfile, NotJson) {
  const absl::Status status = ParseProfile("{", "p.json").status();
  EXPECT_EQ(status.message().find("profile p.json: "), 0u) << status;
}

TEST(ReadProfile, EveryShippedOne) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("bench/policies/profiles")) {
    const absl::StatusOr<Profile> profile = ReadProfile(entry.path());
    ASSERT_TRUE(profile.ok()) << profile.status();
    EXPECT_EQ(profile->name, entry.path().stem().string());
    ++count;
  }
  EXPECT_GE(count, 2);
}

TEST(ReadProfile, MissingFile) {
  const absl::Status status = ReadProfile("/nonexistent/p.json").status();
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_EQ(status.message(), "profile /nonexistent/p.json: cannot be read");
}

}  // namespace
}  // namespace tailor
