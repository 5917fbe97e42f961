// SPDX-License-Identifier: Apache-2.0
// Overload, cancelled calls and the drain, through the whole server.
#include <chrono>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "grpcpp/client_context.h"
#include "gtest/gtest.h"

#include "tests/e2e/test_server.h"

namespace tailor {
namespace {

using testing::ErrorInfoOf;
using testing::RankRequestOf;
using testing::TempFolder;
using testing::TestServer;

class LoadTest : public ::testing::Test {
 protected:
  void SetUp() override { testing::WriteTinyFamily(folder_.path()); }

  // Until the metric has that value; the test's own time limit ends a wait in vain.
  static void Await(TestServer* server, const std::string& metric, const std::string& labels,
                    double value) {
    while (server->Metric(metric, labels) != value) std::this_thread::yield();
  }

  TempFolder folder_;
};

TEST_F(LoadTest, AFullQueueRefusesWithPushback) {
  ServerConfig config;
  config.max_queued_requests = 1;  // of which priority 0 may use none
  TestServer server(folder_.path(), config);
  v1::RankRequest request = RankRequestOf("q", {"a"});
  v1::RankResponse response;
  grpc::ClientContext context;
  const grpc::Status status = server.ranker().Rank(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(ErrorInfoOf(status).reason(), "OVERLOADED");
  const google::rpc::Status details = testing::DetailsOf(status);
  google::rpc::RetryInfo retry;
  ASSERT_EQ(details.details_size(), 2);
  ASSERT_TRUE(details.details(1).UnpackTo(&retry));
  EXPECT_GT(retry.retry_delay().nanos() + retry.retry_delay().seconds(), 0);
  EXPECT_EQ(context.GetServerTrailingMetadata().count("grpc-retry-pushback-ms"), 1U);
  EXPECT_EQ(server.Metric("tailor_requests_total", "reason=\"overloaded\""), 1);

  // The share that is kept for important calls is still there.
  request.mutable_options()->set_priority(2);
  EXPECT_TRUE(server.Rank(request, &response).ok());
}

// The worker's own thread scores the answers of "small" again while it has nothing else to do.
TEST_F(LoadTest, AnIdleServerReviewsAnswers) {
  ServerConfig config;
  config.live_quality_share = 1;
  TestServer server(folder_.path(), config);
  v1::RankRequest request = RankRequestOf("a b", {"a", "b c", "d"});
  request.mutable_options()->set_variant("small");
  v1::RankResponse response;
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(server.Rank(request, &response).ok());
  const std::string pair = "variant=\"small\",best=\"large\"";
  Await(&server, "tailor_reviews_total", pair, 3);
  EXPECT_EQ(server.Metric("tailor_review_agreement_total", pair + ",measure=\"top10\""), 3);
  EXPECT_EQ(server.Metric("tailor_variant_quality", "variant=\"small\""), 0.6);
  EXPECT_EQ(server.Metric("tailor_variant_selected_total", "variant=\"large\""), 0);
}

TEST_F(LoadTest, ACallThatIsCancelledWhileItWaitsNeverRuns) {
  ServerConfig config;
  config.device = "reference";  // slow, so that the second call waits
  TestServer server(folder_.path(), config);
  const double ran_before = server.Metric("tailor_pairs_total");
  v1::RankRequest request = RankRequestOf("q", std::vector<std::string>(200, "a b c d e f g h"));
  request.mutable_options()->set_variant("large");
  request.mutable_options()->set_latency_budget_us(60'000'000);
  v1::RankResponse first_response;
  auto first =
      std::async(std::launch::async, [&] { return server.Rank(request, &first_response); });
  Await(&server, "tailor_inflight_requests", "method=\"Rank\"", 1);

  grpc::ClientContext context;
  v1::RankResponse second_response;
  auto second = std::async(std::launch::async, [&] {
    return server.ranker().Rank(&context, request, &second_response);
  });
  Await(&server, "tailor_inflight_requests", "method=\"Rank\"", 2);
  context.TryCancel();
  EXPECT_EQ(second.get().error_code(), grpc::StatusCode::CANCELLED);
  const grpc::Status status = first.get();
  EXPECT_TRUE(status.ok()) << status.error_message();
  Await(&server, "tailor_requests_total", "reason=\"cancelled\"", 1);
  EXPECT_EQ(server.Metric("tailor_pairs_total") - ran_before, 200);
}

TEST_F(LoadTest, ManyCallersGetTheSameAnswerAsOne) {
  TestServer server(folder_.path(), ServerConfig{});
  v1::RankRequest request = RankRequestOf("a b", {"abc", "b c", "", "d e f"});
  request.mutable_options()->set_variant("small");
  v1::RankResponse alone;
  ASSERT_TRUE(server.Rank(request, &alone).ok());
  std::vector<std::future<bool>> callers;
  for (int i = 0; i < 8; ++i) {
    callers.push_back(std::async(std::launch::async, [&] {
      for (int n = 0; n < 20; ++n) {
        v1::RankResponse response;
        if (!server.Rank(request, &response).ok() || response.results_size() != 4) return false;
        for (int r = 0; r < 4; ++r) {
          if (response.results(r).index() != alone.results(r).index()) return false;
          if (std::abs(response.results(r).score() - alone.results(r).score()) > 1e-5) return false;
        }
      }
      return true;
    }));
  }
  for (std::future<bool>& caller : callers) EXPECT_TRUE(caller.get());
}

TEST_F(LoadTest, ADrainingServerIsNotReadyAndStillAnswers) {
  TestServer server(folder_.path(), ServerConfig{});
  server.server().BeginDrain();
  EXPECT_EQ(server.Page("/healthz"), "draining\n");
  v1::RankResponse response;
  EXPECT_TRUE(server.Rank(RankRequestOf("q", {"a"}), &response).ok());
  server.server().Shutdown();
  EXPECT_EQ(server.Rank(RankRequestOf("q", {"a"}), &response).error_code(),
            grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace tailor
