// SPDX-License-Identifier: Apache-2.0
#include "engine/model/json_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "engine/model/json_fields.h"

namespace tailor {
namespace {

using ::testing::HasSubstr;

std::string Problem(const std::string& text, const JsonLimits& limits = {}) {
  const auto value = ParseJson(text, limits);
  return value.ok() ? "accepted" : std::string(value.status().message());
}

TEST(ParseJsonTest, BuildsWhatTheLibraryBuilds) {
  const std::string text =
      R"({"a":[1,-2,3.5,"x\u00e9",null,true,[],{}],"b":{"c":{"d":[[1],[2]]}},"e":18446744073709551615})";
  const auto value = ParseJson(text);
  ASSERT_TRUE(value.ok()) << value.status();
  EXPECT_EQ(*value, nlohmann::json::parse(text));
}

TEST(ParseJsonTest, RefusesWhatReadersDisagreeAbout) {
  EXPECT_THAT(Problem(R"({"a":1,"b":2,"a":3})"), HasSubstr("distinct keys, got \"a\" twice"));
  EXPECT_THAT(Problem(R"({"a":{"x":1},"b":{"x":1}})"), "accepted");
  EXPECT_THAT(Problem("[1e999]"), HasSubstr("expected JSON"));
  EXPECT_THAT(Problem("{\"a\":1} x"), HasSubstr("at byte"));
  EXPECT_THAT(Problem("\"\xff\""), HasSubstr("expected JSON"));
  EXPECT_THAT(Problem("[NaN]"), HasSubstr("expected JSON"));
}

TEST(ParseJsonTest, HoldsItsLimits) {
  EXPECT_EQ(Problem("[[[1]]]", {.max_depth = 3}), "accepted");
  EXPECT_THAT(Problem("[[[[1]]]]", {.max_depth = 3}),
              HasSubstr("expected at most 3 levels of nesting"));
  EXPECT_THAT(Problem(std::string(1'000'000, '[')), HasSubstr("32 levels"));
  EXPECT_THAT(Problem("[1, 2]", {.max_bytes = 5}),
              HasSubstr("expected at most 5 bytes of JSON, got 6"));
}

TEST(JsonFieldsTest, FirstProblemStays) {
  const auto object = nlohmann::json::parse(R"({"n": 1.5, "s": 3, "huge": 18446744073709551615})");
  absl::Status problem;
  const JsonFields fields(object, "file.json", &problem);
  EXPECT_EQ(fields.Int("absent", 0, 1), std::nullopt);
  EXPECT_TRUE(problem.ok());
  EXPECT_EQ(fields.Int("huge", 0, 10), std::nullopt);
  EXPECT_EQ(fields.String("s"), std::nullopt);
  EXPECT_EQ(problem.message(),
            "file.json: huge: expected an integer in [0, 10], got 18446744073709551615");
}

TEST(JsonFieldsTest, NamesTheNearestKey) {
  const auto object = nlohmann::json::parse(R"({"num_lables": 1})");
  absl::Status problem;
  const std::array<std::string, 2> known = {"kind", "num_labels"};
  JsonFields(object, "variant.json: task", &problem).RefuseUnknown(known);
  EXPECT_EQ(problem.message(),
            "variant.json: task: expected a known key, got \"num_lables\" (nearest: "
            "\"num_labels\")");
}

TEST(ShortJsonTest, IsOneShortLine) {
  EXPECT_EQ(ShortJson("a\n\x1b[2J"), "\"a\\n\\u001b[2J\"");
  EXPECT_EQ(ShortJson(std::string(1000, 'x')).size(), 60u);
  EXPECT_EQ(ShortJson(nlohmann::json::array({1, 2})), "an array of 2");
}

}  // namespace
}  // namespace tailor
