// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/request_validation.h"

#include <chrono>
#include <limits>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "server/pipeline/refusal.h"

namespace tailor {
namespace {

using std::chrono::milliseconds;
using ::testing::Eq;

RequestLimits SmallLimits() {
  RequestLimits limits;
  limits.max_documents = 3;
  limits.max_document_bytes = 8;
  limits.max_message_bytes = 100;
  return limits;
}

// The message of a refusal that must be INVALID_ARGUMENT.
template <typename Result>
std::string InvalidText(const Result& result) {
  absl::Status status;
  if constexpr (std::is_same_v<Result, absl::Status>) {
    status = result;
  } else {
    status = result.status();
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_EQ(GetRefusal(status).refusal, Refusal::kInvalidArgument);
  return std::string(status.message());
}

v1::RankRequest RankOf(const std::vector<std::string>& documents) {
  v1::RankRequest message;
  message.set_query("query");
  for (const std::string& document : documents) message.add_documents(document);
  return message;
}

TEST(ToRequest, TheScaleDecidesTheOrder) {
  v1::RankRequest message = RankOf({"a"});
  EXPECT_FALSE(ToRequest(message, SmallLimits())->order_by_logit);
  message.set_scale(v1::SCORE_SCALE_RAW);
  EXPECT_TRUE(ToRequest(message, SmallLimits())->order_by_logit);
  message.set_scale(v1::SCORE_SCALE_SIGMOID);
  EXPECT_TRUE(ToRequest(message, SmallLimits())->order_by_logit);
}

TEST(ToRequest, RankPairsTheQueryWithEveryDocument) {
  v1::RankRequest message = RankOf({"a", "", "c"});
  message.set_top_n(2);
  message.mutable_options()->set_priority(2);
  message.mutable_options()->set_variant("small");
  message.mutable_options()->set_min_quality(0.5);
  const absl::StatusOr<Request> request = ToRequest(message, SmallLimits());
  ASSERT_TRUE(request.ok()) << request.status();
  ASSERT_EQ(request->texts.size(), 3U);
  EXPECT_EQ(request->kind, RequestKind::kRank);
  EXPECT_EQ(request->texts[2].first, "query");
  EXPECT_EQ(*request->texts[2].second, "c");
  // A view into the message: texts are not copied on their way to the tokenizer.
  EXPECT_EQ(request->texts[2].second->data(), message.documents(2).data());
  EXPECT_EQ(request->top_n, 2);
  EXPECT_EQ(request->priority, 2);
  EXPECT_EQ(request->variant, "small");
  EXPECT_DOUBLE_EQ(request->min_quality, 0.5);
}

TEST(ToRequest, CascadesUnlessSwitchedOff) {
  v1::RankRequest message = RankOf({"a"});
  EXPECT_TRUE(ToRequest(message, SmallLimits())->may_cascade);
  message.set_cascade(v1::CASCADE_AUTO);
  EXPECT_TRUE(ToRequest(message, SmallLimits())->may_cascade);
  message.set_cascade(v1::CASCADE_OFF);
  EXPECT_FALSE(ToRequest(message, SmallLimits())->may_cascade);
  message.set_cascade(static_cast<v1::Cascade>(3));
  EXPECT_THAT(InvalidText(ToRequest(message, SmallLimits())),
              Eq("cascade: expected 0 to 2, got 3"));
}

TEST(ToRequest, NoDocumentsAndEmptyTextsAreValid) {
  EXPECT_TRUE(ToRequest(v1::RankRequest(), SmallLimits()).ok());
  EXPECT_TRUE(ToRequest(v1::ScoreRequest(), SmallLimits()).ok());
  EXPECT_TRUE(ToRequest(v1::EmbedRequest(), SmallLimits()).ok());
  EXPECT_TRUE(ToRequest(v1::ClassifyRequest(), SmallLimits()).ok());
}

TEST(ToRequest, LimitsNameFieldLimitAndValue) {
  EXPECT_THAT(InvalidText(ToRequest(RankOf({"a", "b", "c", "d"}), SmallLimits())),
              Eq("documents: expected at most 3, got 4"));
  EXPECT_THAT(InvalidText(ToRequest(RankOf({"a", "123456789"}), SmallLimits())),
              Eq("documents[1]: expected at most 8 bytes, got 9"));
  v1::RankRequest long_query = RankOf({});
  long_query.set_query("a long query");
  EXPECT_THAT(InvalidText(ToRequest(long_query, SmallLimits())),
              Eq("query: expected at most 8 bytes, got 12"));
  v1::ScoreRequest pairs;
  for (int i = 0; i < 4; ++i) pairs.add_pairs();
  EXPECT_THAT(InvalidText(ToRequest(pairs, SmallLimits())), Eq("pairs: expected at most 3, got 4"));
}

TEST(ToRequest, InvalidUtf8IsNamedWithItsPosition) {
  RequestLimits limits;
  EXPECT_THAT(InvalidText(ToRequest(RankOf({"ok", "ok", "ok", "seventeen bytes..\xff"}), limits)),
              Eq("documents[3]: expected UTF-8, got an invalid byte at offset 17"));
  v1::ScoreRequest pairs;
  pairs.add_pairs()->set_second("\xc0\x80");
  EXPECT_THAT(InvalidText(ToRequest(pairs, limits)),
              Eq("pairs[0].second: expected UTF-8, got an invalid byte at offset 0"));
  v1::EmbedRequest texts;
  texts.add_texts("a\xed\xa0\x80");
  EXPECT_THAT(InvalidText(ToRequest(texts, limits)),
              Eq("texts[0]: expected UTF-8, got an invalid byte at offset 1"));
  v1::ClassifyRequest inputs;
  inputs.add_inputs()->set_second("\x80");
  EXPECT_THAT(InvalidText(ToRequest(inputs, limits)),
              Eq("inputs[0].second: expected UTF-8, got an invalid byte at offset 0"));
  v1::TokenizeRequest tokenize;
  tokenize.add_texts("\xff");
  EXPECT_THAT(InvalidText(Validate(tokenize, limits)),
              Eq("texts[0]: expected UTF-8, got an invalid byte at offset 0"));
}

TEST(ToRequest, NulIsText) {
  EXPECT_TRUE(ToRequest(RankOf({std::string("a\0b", 3)}), SmallLimits()).ok());
}

TEST(ToRequest, OptionsAreChecked) {
  const struct {
    int64_t budget_us;
    int32_t priority;
    double min_quality;
    std::string error;
  } kTable[] = {
      {-1, 0, 0, "options.latency_budget_us: expected 0 to 60000000, got -1"},
      {60'000'001, 0, 0, "options.latency_budget_us: expected 0 to 60000000, got 60000001"},
      {0, 3, 0, "options.priority: expected 0 to 2, got 3"},
      {0, -1, 0, "options.priority: expected 0 to 2, got -1"},
      {0, 0, -0.5, "options.min_quality: expected 0 to 1, got -0.5"},
      {0, 0, 1.5, "options.min_quality: expected 0 to 1, got 1.5"},
      {0, 0, std::numeric_limits<double>::quiet_NaN(),
       "options.min_quality: expected 0 to 1, got nan"},
  };
  for (const auto& row : kTable) {
    v1::RankRequest message;
    message.mutable_options()->set_latency_budget_us(row.budget_us);
    message.mutable_options()->set_priority(row.priority);
    message.mutable_options()->set_min_quality(row.min_quality);
    EXPECT_EQ(InvalidText(ToRequest(message, SmallLimits())), row.error);
  }
}

TEST(ToRequest, ScaleAndTopNAreChecked) {
  v1::RankRequest message;
  message.set_scale(static_cast<v1::ScoreScale>(7));
  EXPECT_EQ(InvalidText(ToRequest(message, SmallLimits())), "scale: expected 0 to 2, got 7");
  v1::RankRequest negative;
  negative.set_top_n(-1);
  EXPECT_EQ(InvalidText(ToRequest(negative, SmallLimits())), "top_n: expected 0 or more, got -1");
}

TEST(ToRequest, ClassifyInputsMayBePairs) {
  v1::ClassifyRequest message;
  message.add_inputs()->set_first("one");
  message.add_inputs()->set_second("");  // set, though empty: a pair
  const absl::StatusOr<Request> request = ToRequest(message, SmallLimits());
  ASSERT_TRUE(request.ok());
  EXPECT_FALSE(request->texts[0].second.has_value());
  EXPECT_TRUE(request->texts[1].second.has_value());
}

TEST(CheckMessageSize, AboveTheLimitIsTooLarge) {
  EXPECT_TRUE(CheckMessageSize(100, SmallLimits()).ok());
  const absl::Status status = CheckMessageSize(101, SmallLimits());
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(GetRefusal(status).refusal, Refusal::kTooLarge);
  EXPECT_EQ(status.message(), "message: expected at most 100 bytes, got 101");
}

TEST(TimeAllowed, IsTheSmallerOfBudgetAndDeadline) {
  RequestLimits limits;
  limits.default_budget = milliseconds(100);
  EXPECT_EQ(TimeAllowed(0, std::nullopt, limits), milliseconds(100));
  EXPECT_EQ(TimeAllowed(20'000, std::nullopt, limits), milliseconds(20));
  EXPECT_EQ(TimeAllowed(0, milliseconds(50), limits), milliseconds(50));
  EXPECT_EQ(TimeAllowed(20'000, milliseconds(50), limits), milliseconds(20));
  EXPECT_EQ(TimeAllowed(51'000, milliseconds(50), limits), milliseconds(50));
  EXPECT_LE(TimeAllowed(20'000, milliseconds(-1), limits), milliseconds(0));
}

TEST(ToExplainQuery, ChecksLengths) {
  v1::ExplainRequest message;
  message.add_lengths(12);
  message.set_latency_budget_us(5000);
  const absl::StatusOr<ExplainQuery> query = ToExplainQuery(message, SmallLimits());
  ASSERT_TRUE(query.ok());
  EXPECT_EQ(query->lengths, std::vector<int>{12});
  EXPECT_EQ(query->budget, milliseconds(5));
  message.add_lengths(0);
  EXPECT_EQ(InvalidText(ToExplainQuery(message, SmallLimits())),
            "lengths[1]: expected 1 or more, got 0");
}

}  // namespace
}  // namespace tailor
