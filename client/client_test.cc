// SPDX-License-Identifier: Apache-2.0
#include "client/client.h"

#include <atomic>
#include <string>
#include <vector>

#include "client/call_error.h"
#include "client/fake_ranker.h"
#include "client/retry_budget.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tailor::client {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int kResourceExhausted = 8;
constexpr int kFailedPrecondition = 9;
constexpr int kInternal = 13;

ClientOptions OptionsFor(const FakeRanker& server) {
  ClientOptions options;
  options.server = server.address();
  return options;
}

RankCall ThreeDocuments() {
  RankCall call;
  call.query = "query";
  call.documents = {"a", "", std::string_view("nul\0inside", 10)};
  return call;
}

TEST(Client, SendsEveryOptionAndReturnsTheAnswer) {
  FakeRanker server([](const SeenCall&) { return ToldAnswer{}; });
  Client client(OptionsFor(server));
  RankCall call = ThreeDocuments();
  call.options = {milliseconds(20), 2, "pinned", 0.5};
  call.top_n = 7;
  call.scale = ScoreScale::kRaw;
  const auto result = client.Rank(call);
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_EQ(result->documents.size(), 3u);
  EXPECT_EQ(result->documents[0].index, 2);
  EXPECT_EQ(result->documents[0].score, 2);
  EXPECT_EQ(result->execution.variant, "small");
  EXPECT_EQ(result->execution.predicted, std::chrono::microseconds(1500));
  EXPECT_EQ(result->attempts, 1);

  ASSERT_EQ(server.calls().size(), 1u);
  const SeenCall seen = server.calls()[0];
  EXPECT_THAT(seen.documents, ElementsAre("a", "", std::string("nul\0inside", 10)));
  EXPECT_EQ(seen.budget_us, 20'000);
  EXPECT_EQ(seen.priority, 2);
  EXPECT_EQ(seen.variant, "pinned");
  EXPECT_EQ(seen.min_quality, 0.5);
  EXPECT_EQ(seen.top_n, 7);
  EXPECT_EQ(seen.scale, 1);
  // The deadline is the budget and the slack of 250 ms; without one a dead server would hang us.
  EXPECT_LE(seen.deadline_in_s, 0.271);
}

TEST(Client, ScoresPairsInOrder) {
  FakeRanker server([](const SeenCall&) { return ToldAnswer{}; });
  Client client(OptionsFor(server));
  ScoreCall call;
  call.pairs = {{"q1", "d1"}, {"q2", "d2"}};
  const auto result = client.Score(call);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->scores, ElementsAre(0, 1));
  EXPECT_THAT(server.calls()[0].documents, ElementsAre("q1", "d1", "q2", "d2"));
  EXPECT_GT(server.calls()[0].deadline_in_s, 3600)
      << "a deadline would take the place of the server's default budget";
}

TEST(Client, GivesUpWithoutABudgetToo) {
  std::atomic<bool> is_over{false};
  FakeRanker server([&](const SeenCall&) {
    is_over.wait(false);
    return ToldAnswer{};
  });
  ClientOptions options = OptionsFor(server);
  options.default_timeout = milliseconds(20);
  Client client(options);
  const auto result = client.Rank(ThreeDocuments());
  is_over = true;
  is_over.notify_all();
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST(Client, SaysWhichBudgetWouldDo) {
  FakeRanker server([](const SeenCall&) {
    ToldAnswer answer;
    answer.code = kFailedPrecondition;
    answer.message = "budget 2 ms is too small";
    answer.reason = "BUDGET_INFEASIBLE";
    answer.smallest_feasible_budget_us = 12'300;
    return answer;
  });
  Client client(OptionsFor(server));
  const auto result = client.Rank(ThreeDocuments());
  ASSERT_FALSE(result.ok());
  const CallError error = GetCallError(result.status());
  EXPECT_EQ(error.code, absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(error.reason, "BUDGET_INFEASIBLE");
  EXPECT_TRUE(error.IsRefusal());
  EXPECT_EQ(error.smallest_feasible_budget, std::chrono::microseconds(12'300));
  EXPECT_EQ(error.ToLine(),
            "BUDGET_INFEASIBLE: budget 2 ms is too small (smallest feasible budget 12.3 ms)");
}

TEST(Client, NoServerIsUnavailable) {
  ClientOptions options;
  options.server = "127.0.0.1:1";  // nothing listens there
  Client client(options);
  const auto result = client.Rank(ThreeDocuments());
  ASSERT_FALSE(result.ok());
  const CallError error = GetCallError(result.status());
  EXPECT_EQ(error.code, absl::StatusCode::kUnavailable);
  EXPECT_EQ(error.reason, "UNAVAILABLE");
  EXPECT_FALSE(error.IsRefusal());
  EXPECT_EQ(client.Connect(std::chrono::seconds(30)).code(), absl::StatusCode::kUnavailable);
}

TEST(Client, ConnectsAhead) {
  FakeRanker server([](const SeenCall&) { return ToldAnswer{}; });
  Client client(OptionsFor(server));
  EXPECT_TRUE(client.Connect(std::chrono::seconds(30)).ok());
  EXPECT_TRUE(client.Rank(ThreeDocuments()).ok());
}

ToldAnswer Overloaded(int64_t retry_after_ms) {
  ToldAnswer answer;
  answer.code = kResourceExhausted;
  answer.reason = "OVERLOADED";
  answer.retry_after_ms = retry_after_ms;
  return answer;
}

// A client whose pauses are counted, not waited for.
struct RetryingClient {
  explicit RetryingClient(const FakeRanker& server, int max_attempts) {
    ClientOptions options = OptionsFor(server);
    options.retry.max_attempts = max_attempts;
    options.pause = [this](Duration pause) { pauses.push_back(pause); };
    client = std::make_unique<Client>(options);
  }
  std::vector<Duration> pauses;
  std::unique_ptr<Client> client;
};

TEST(ClientRetry, ComesBackAfterTheAskedPauseWithWhatIsLeftOfTheBudget) {
  std::atomic<int> calls{0};
  FakeRanker server([&](const SeenCall&) { return ++calls == 1 ? Overloaded(40) : ToldAnswer{}; });
  RetryingClient retrying(server, 3);
  RankCall call = ThreeDocuments();
  call.options.budget = std::chrono::seconds(10);
  const auto result = retrying.client->Rank(call);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->attempts, 2);
  EXPECT_THAT(retrying.pauses, ElementsAre(milliseconds(40)));
  EXPECT_LT(server.calls()[1].budget_us, server.calls()[0].budget_us);
}

TEST(ClientRetry, NotWhenThePauseDoesNotFitTheBudget) {
  FakeRanker server([](const SeenCall&) { return Overloaded(40); });
  RetryingClient retrying(server, 3);
  RankCall call = ThreeDocuments();
  call.options.budget = milliseconds(40);
  EXPECT_FALSE(retrying.client->Rank(call).ok());
  EXPECT_EQ(server.calls().size(), 1u);
}

TEST(ClientRetry, NotByDefaultAndNotForOtherReasons) {
  FakeRanker overloaded([](const SeenCall&) { return Overloaded(1); });
  Client plain(OptionsFor(overloaded));
  EXPECT_EQ(GetCallError(plain.Rank(ThreeDocuments()).status()).retry_after, milliseconds(1));
  EXPECT_EQ(overloaded.calls().size(), 1u);

  FakeRanker too_large([](const SeenCall&) {
    ToldAnswer answer = Overloaded(1);
    answer.reason = "TOO_LARGE";  // the same status code: must never be retried
    return answer;
  });
  RetryingClient retrying(too_large, 3);
  EXPECT_FALSE(retrying.client->Rank(ThreeDocuments()).ok());
  EXPECT_EQ(too_large.calls().size(), 1u);
}

TEST(ClientRetry, TheRetryBudgetEndsRetryStorms) {
  FakeRanker server([](const SeenCall&) { return Overloaded(1); });
  RetryingClient retrying(server, 3);
  constexpr int kCalls = 20;
  for (int i = 0; i < kCalls; ++i) EXPECT_FALSE(retrying.client->Rank(ThreeDocuments()).ok());
  // 10 tokens: the first call is retried twice, the second once, then half of the tokens are gone.
  EXPECT_EQ(server.calls().size(), kCalls + 3u);
}

TEST(RetryBudget, EarnsBackByTenths) {
  RetryBudget budget(2, 0.1);
  EXPECT_FALSE(budget.RecordFailure());  // 1 of 2 left: not above half
  for (int i = 0; i < 11; ++i) budget.RecordSuccess();
  EXPECT_FALSE(budget.RecordFailure()) << "never more than the maximum";
}

TEST(CallError, MalformedDetailsAreLeftOut) {
  FakeRanker server([](const SeenCall&) {
    ToldAnswer answer;
    answer.code = kInternal;
    answer.message = "evil\x1b[2J\nline";
    answer.raw_details = "\xff\xff not a message";
    return answer;
  });
  Client client(OptionsFor(server));
  const CallError error = GetCallError(client.Rank(ThreeDocuments()).status());
  EXPECT_EQ(error.reason, "INTERNAL");
  EXPECT_EQ(error.ToLine().find('\x1b'), std::string::npos);
  EXPECT_EQ(error.ToLine().find('\n'), std::string::npos);
}

TEST(CallError, CodesOutsideTheTableAreUnknown) {
  for (const int code : {0, -1, 17, 1000}) {
    const absl::Status status = MakeCallStatus(code, "m", "");
    EXPECT_EQ(status.code(), absl::StatusCode::kUnknown) << code;
  }
}

}  // namespace
}  // namespace tailor::client
