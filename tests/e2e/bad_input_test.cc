// SPDX-License-Identifier: Apache-2.0
// Every row of the table of bad input, end to end.
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "grpcpp/client_context.h"
#include "gtest/gtest.h"

#include "tests/e2e/test_server.h"

namespace tailor {
namespace {

using testing::ErrorInfoOf;
using ::testing::HasSubstr;
using testing::RankRequestOf;
using testing::TempFolder;
using testing::TestServer;

class BadInputTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TempFolder;
    testing::WriteTinyFamily(folder_->path());
    server_ = new TestServer(folder_->path(), ServerConfig{});
  }
  static void TearDownTestSuite() {
    delete server_;
    delete folder_;
  }

  // A refusal of that code and reason; returns its message.
  std::string Refused(const v1::RankRequest& request, grpc::StatusCode code,
                      const std::string& reason) {
    v1::RankResponse response;
    const grpc::Status status = server_->Rank(request, &response);
    EXPECT_EQ(status.error_code(), code) << status.error_message();
    EXPECT_EQ(ErrorInfoOf(status).reason(), reason);
    return status.error_message();
  }

  static TempFolder* folder_;
  static TestServer* server_;
};

TempFolder* BadInputTest::folder_ = nullptr;
TestServer* BadInputTest::server_ = nullptr;

TEST_F(BadInputTest, NoDocumentsIsAnEmptyResult) {
  v1::RankResponse response;
  ASSERT_TRUE(server_->Rank(RankRequestOf("q", {}), &response).ok());
  EXPECT_EQ(response.results_size(), 0);
  EXPECT_EQ(response.execution().variant(), "");
}

TEST_F(BadInputTest, EmptyTextsHaveScores) {
  v1::RankResponse response;
  ASSERT_TRUE(server_->Rank(RankRequestOf("", {"", "a"}), &response).ok());
  ASSERT_EQ(response.results_size(), 2);
  for (const v1::RankedDocument& result : response.results()) {
    EXPECT_GT(result.score(), 0);
    EXPECT_LT(result.score(), 1);
  }
}

TEST_F(BadInputTest, AboveTheLimits) {
  EXPECT_EQ(Refused(RankRequestOf("q", std::vector<std::string>(1001, "a")),
                    grpc::StatusCode::INVALID_ARGUMENT, "INVALID_ARGUMENT"),
            "documents: expected at most 1000, got 1001");
  EXPECT_EQ(Refused(RankRequestOf("q", {"a", std::string(65537, 'a')}),
                    grpc::StatusCode::INVALID_ARGUMENT, "INVALID_ARGUMENT"),
            "documents[1]: expected at most 65536 bytes, got 65537");
  EXPECT_THAT(Refused(RankRequestOf("q", {std::string(5 << 20, 'a')}),
                      grpc::StatusCode::RESOURCE_EXHAUSTED, "TOO_LARGE"),
              HasSubstr("message: expected at most 4194304 bytes"));
}

TEST_F(BadInputTest, OddTexts) {
  EXPECT_EQ(Refused(RankRequestOf("q", {"a", "ok\xc3\x28"}), grpc::StatusCode::INVALID_ARGUMENT,
                    "INVALID_ARGUMENT"),
            "documents[1]: expected UTF-8, got an invalid byte at offset 2");
  EXPECT_EQ(
      Refused(RankRequestOf("\xf5", {"a"}), grpc::StatusCode::INVALID_ARGUMENT, "INVALID_ARGUMENT"),
      "query: expected UTF-8, got an invalid byte at offset 0");
  v1::RankResponse response;
  const std::string nul("a\0b", 3);
  ASSERT_TRUE(server_->Rank(RankRequestOf(nul, {nul, std::string(65536, 'x')}), &response).ok());
  EXPECT_EQ(response.results_size(), 2);
}

TEST_F(BadInputTest, VariantBudgetAndTopN) {
  v1::RankRequest unknown = RankRequestOf("q", {"a"});
  unknown.mutable_options()->set_variant("larg");
  EXPECT_THAT(Refused(unknown, grpc::StatusCode::NOT_FOUND, "UNKNOWN_VARIANT"), HasSubstr("larg"));
  v1::RankRequest negative = RankRequestOf("q", {"a"});
  negative.mutable_options()->set_latency_budget_us(-1);
  EXPECT_THAT(Refused(negative, grpc::StatusCode::INVALID_ARGUMENT, "INVALID_ARGUMENT"),
              HasSubstr("options.latency_budget_us: expected 0 to 60000000, got -1"));
  v1::RankRequest huge = RankRequestOf("q", {"a"});
  huge.mutable_options()->set_latency_budget_us(60'000'001);
  Refused(huge, grpc::StatusCode::INVALID_ARGUMENT, "INVALID_ARGUMENT");
}

// The reference backend and a large safety factor make every prediction long, so that the budget
// is hopeless and yet far from over when the request is judged.
class HopelessBudgetTest : public BadInputTest {
 protected:
  static ServerConfig SlowServer() {
    ServerConfig config;
    config.device = "reference";
    config.safety = 10;
    return config;
  }

  v1::RankRequest Hopeless() {
    v1::RankRequest request =
        RankRequestOf("q", std::vector<std::string>(1000, "a b c d e f g h i j k l m n o p"));
    request.mutable_options()->set_latency_budget_us(300'000);
    return request;
  }

  TestServer slow_{folder_->path(), SlowServer()};
};

TEST_F(HopelessBudgetTest, TheSmallestFeasibleBudgetIsNamed) {
  v1::RankResponse response;
  const grpc::Status status = slow_.Rank(Hopeless(), &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION) << status.error_message();
  const google::rpc::ErrorInfo info = ErrorInfoOf(status);
  EXPECT_EQ(info.reason(), "BUDGET_INFEASIBLE");
  ASSERT_TRUE(info.metadata().contains("smallest_feasible_budget_us"));
  EXPECT_GT(std::stoll(info.metadata().at("smallest_feasible_budget_us")), 300'000);
}

TEST_F(HopelessBudgetTest, APinThatIsTooSlowSaysWhatItNeeds) {
  v1::RankRequest request = Hopeless();
  request.mutable_options()->set_variant("large");
  v1::RankResponse response;
  const grpc::Status status = slow_.Rank(request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION) << status.error_message();
  EXPECT_EQ(ErrorInfoOf(status).reason(), "BUDGET_INFEASIBLE");
  EXPECT_THAT(status.error_message(), HasSubstr("large"));
}

TEST_F(BadInputTest, AQualityThatNothingReaches) {
  v1::RankRequest quality = RankRequestOf("q", {"a"});
  quality.mutable_options()->set_min_quality(0.95);
  Refused(quality, grpc::StatusCode::FAILED_PRECONDITION, "QUALITY_INFEASIBLE");
}

TEST_F(BadInputTest, BytesOfTensWithTheLimitsRaised) {
  ServerConfig config;
  config.max_document_bytes = 16 << 20;
  config.max_message_bytes = 32 << 20;
  TestServer server(folder_->path(), config);
  // One word of 10 MB is one [UNK]; its length must not be squared anywhere.
  v1::RankResponse response;
  const grpc::Status status =
      server.Rank(RankRequestOf("q", {std::string(10 << 20, 'x'), "a"}), &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.results_size(), 2);
}

TEST_F(BadInputTest, ADeadlineThatTheMarginUsesUpRunsNothing) {
  ServerConfig config;
  config.reply_margin = std::chrono::seconds(10);  // more than the caller allows
  TestServer server(folder_->path(), config);
  const double busy_before = server.Metric("tailor_pairs_total");
  v1::RankResponse response;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
  const grpc::Status status = server.ranker().Rank(&context, RankRequestOf("q", {"a"}), &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(ErrorInfoOf(status).reason(), "BUDGET_INFEASIBLE");
  EXPECT_EQ(server.Metric("tailor_requests_total", "reason=\"budget_infeasible\""), 1);
  EXPECT_EQ(server.Metric("tailor_pairs_total"), busy_before);
}

TEST(BadFolder, OneBadVariantLeavesTheOthers) {
  const TempFolder folder;
  testing::WriteTinyFamily(folder.path());
  std::filesystem::resize_file(folder.path() / "large" / "model.safetensors", 1000);
  TestServer server(folder.path(), ServerConfig{});
  v1::RankResponse response;
  ASSERT_TRUE(server.Rank(RankRequestOf("q", {"a"}), &response).ok());
  EXPECT_EQ(response.execution().variant(), "small");
  v1::ListVariantsResponse variants;
  grpc::ClientContext list;
  ASSERT_TRUE(server.admin().ListVariants(&list, v1::ListVariantsRequest(), &variants).ok());
  ASSERT_EQ(variants.variants_size(), 2);
  EXPECT_EQ(variants.variants(1).state(), "refused");
  EXPECT_FALSE(variants.variants(1).problem().empty());
}

TEST(BadFolder, WithoutAnyVariantTheServerIsNotReady) {
  const TempFolder folder;
  testing::WriteTinyFamily(folder.path());
  for (const char* variant : {"small", "large"}) {
    std::filesystem::remove(folder.path() / variant / "model.safetensors");
  }
  TestServer server(folder.path(), ServerConfig{});
  EXPECT_FALSE(server.server().is_ready());
  EXPECT_EQ(server.Page("/healthz"), "starting\n");
  v1::RankResponse response;
  const grpc::Status status = server.Rank(RankRequestOf("q", {"a"}), &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ErrorInfoOf(status).reason(), "NOT_READY");
}

TEST(BadFolder, CallsBeforeTheWarmUpAreNotReady) {
  const TempFolder folder;
  testing::WriteTinyFamily(folder.path());
  TestServer server(folder.path(), ServerConfig{}, /*warm=*/false);
  v1::RankResponse response;
  const grpc::Status status = server.Rank(RankRequestOf("q", {"a"}), &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ErrorInfoOf(status).reason(), "NOT_READY");
}

TEST(BadAddress, APortInUseIsRefused) {
  const TempFolder folder;
  testing::WriteTinyFamily(folder.path());
  TestServer first(folder.path(), ServerConfig{});
  ServerConfig config;
  config.family = folder.path().string();
  config.listen = "127.0.0.1:" + std::to_string(first.server().grpc_port());
  config.http_listen = "127.0.0.1:0";
  const SteadyClock clock;
  const auto second = Server::Start(config, &clock);
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("in use"));
}

}  // namespace
}  // namespace tailor
