// SPDX-License-Identifier: Apache-2.0
// The listener over a pipeline that answers when the test says so.
#include "server/rpc/grpc_server.h"

#include <chrono>
#include <future>
#include <memory>
#include <numeric>
#include <string>
#include <thread>

#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/security/credentials.h"
#include "gtest/gtest.h"

#include "server/rpc/scripted_ranker.h"
#include "tailor/v1/admin.grpc.pb.h"
#include "tailor/v1/ranker.grpc.pb.h"

namespace tailor {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

google::rpc::ErrorInfo InfoOf(const grpc::Status& status) {
  google::rpc::Status details;
  google::rpc::ErrorInfo info;
  EXPECT_TRUE(details.ParseFromString(status.error_details()));
  if (details.details_size() > 0) details.details(0).UnpackTo(&info);
  return info;
}

Answer AnswerOf(std::vector<float> outputs, std::vector<int32_t> order) {
  Answer answer;
  answer.outputs = std::move(outputs);
  answer.order = std::move(order);
  answer.variant = 0;
  return answer;
}

class GrpcServerTest : public ::testing::Test {
 protected:
  void SetUp() override { Start(RequestLimits{}, &ranker_); }

  void TearDown() override {
    if (server_ != nullptr) server_->Shutdown(std::chrono::seconds(0));
  }

  void Start(const RequestLimits& limits, Ranker* ranker) {
    TearDown();
    GrpcServerOptions options;
    options.listen = "127.0.0.1:0";
    options.pollers = 2;
    options.limits = limits;
    health_ = std::make_unique<Health>();
    facts_.family = "tiny";
    facts_.refused = {{"bad", "expected more"}};
    auto server = GrpcServer::Start(options, {.ranker = ranker,
                                              .recorder = &recorder_,
                                              .health = health_.get(),
                                              .facts = &facts_,
                                              .clock = &clock_});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    channel_ = grpc::CreateChannel(Address(), grpc::InsecureChannelCredentials());
    stub_ = v1::Ranker::NewStub(channel_);
    admin_ = v1::Admin::NewStub(channel_);
  }

  std::string Address() const { return "127.0.0.1:" + std::to_string(server_->port()); }

  // A call whose answer the test still has to give.
  std::future<grpc::Status> RankLater(grpc::ClientContext* context, v1::RankResponse* response) {
    return std::async(std::launch::async, [this, context, response] {
      v1::RankRequest request;
      request.set_query("hello");
      request.add_documents("a");
      request.add_documents("b");
      return stub_->Rank(context, request, response);
    });
  }

  // How often a stage was recorded that belongs to no variant.
  double CallsOf(Stage stage) const {
    const size_t variants = 1;
    const std::vector<double> series = recorder_.Series(
        Metric::kStageDuration, static_cast<size_t>(stage) * (variants + 1) + variants);
    return std::accumulate(series.begin(), series.end() - 1, 0.0);
  }

  SteadyClock clock_;
  ServerFacts facts_;
  Recorder recorder_{{.variants = {{.id = "small"}}}};
  std::unique_ptr<Health> health_;
  ScriptedRanker ranker_;
  std::unique_ptr<GrpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Ranker::Stub> stub_;
  std::unique_ptr<v1::Admin::Stub> admin_;
};

TEST_F(GrpcServerTest, AnswersComeBackInTheOrderOfThePipeline) {
  grpc::ClientContext context;
  v1::RankResponse response;
  std::future<grpc::Status> call = RankLater(&context, &response);
  const auto submission = ranker_.Next();
  EXPECT_EQ(submission->request.texts.size(), 2U);
  EXPECT_EQ(submission->request.texts[0].first, "hello");
  EXPECT_EQ(submission->request.deadline - submission->request.arrival,
            RequestLimits{}.default_budget);
  submission->done(AnswerOf({0.0F, 1.0F}, {1, 0}));
  ASSERT_TRUE(call.get().ok());
  ASSERT_EQ(response.results_size(), 2);
  EXPECT_EQ(response.results(0).index(), 1);
  EXPECT_EQ(response.execution().variant(), "small");
}

TEST_F(GrpcServerTest, ManyCallsInFlightEachGetTheirOwnAnswer) {
  constexpr int kCalls = 200;  // more than are posted
  std::vector<std::future<grpc::Status>> calls;
  std::vector<grpc::ClientContext> contexts(kCalls);
  std::vector<v1::RankResponse> responses(kCalls);
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int i = 0; i < kCalls; ++i) {
    threads.emplace_back([&, i] {
      v1::RankRequest request;
      for (int n = 0; n <= i; ++n) request.add_documents("x");
      const auto index = static_cast<size_t>(i);
      if (stub_->Rank(&contexts[index], request, &responses[index]).ok() &&
          responses[index].results_size() == i + 1) {
        ++good;
      }
    });
  }
  for (int i = 0; i < kCalls; ++i) {
    const auto submission = ranker_.Next();
    const size_t size = submission->request.texts.size();
    std::vector<int32_t> order(size);
    for (size_t n = 0; n < size; ++n) order[n] = static_cast<int32_t>(n);
    submission->done(AnswerOf(std::vector<float>(size, 0.5F), std::move(order)));
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good.load(), kCalls);
}

TEST_F(GrpcServerTest, ACallerThatGoesAwayCancelsItsTicket) {
  grpc::ClientContext context;
  v1::RankResponse response;
  std::future<grpc::Status> call = RankLater(&context, &response);
  const auto submission = ranker_.Next();
  context.TryCancel();
  EXPECT_EQ(call.get().error_code(), grpc::StatusCode::CANCELLED);
  ranker_.AwaitCancel(*submission);
}

TEST_F(GrpcServerTest, RefusalsCarryDetailsAndPushback) {
  grpc::ClientContext context;
  v1::RankResponse response;
  std::future<grpc::Status> call = RankLater(&context, &response);
  ranker_.Next()->done(MakeRefusal(
      {.refusal = Refusal::kOverloaded, .retry_after = std::chrono::milliseconds(40)}, "busy"));
  const grpc::Status status = call.get();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(InfoOf(status).reason(), "OVERLOADED");
  const auto& trailers = context.GetServerTrailingMetadata();
  const auto pushback = trailers.find("grpc-retry-pushback-ms");
  ASSERT_NE(pushback, trailers.end());
  EXPECT_EQ(std::string(pushback->second.data(), pushback->second.size()), "40");
}

TEST_F(GrpcServerTest, AMessageAboveTheLimitSaysSo) {
  RequestLimits limits;
  limits.max_message_bytes = 1024;
  Start(limits, &ranker_);
  v1::RankRequest request;
  request.set_query(std::string(2000, 'x'));
  v1::RankResponse response;
  grpc::ClientContext context;
  const grpc::Status status = stub_->Rank(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(InfoOf(status).reason(), "TOO_LARGE");
}

// gRPC has a limit of its own, which gives no reason.
TEST_F(GrpcServerTest, AMessageFarAboveTheLimitSaysSoToo) {
  v1::RankRequest request;
  request.set_query(std::string(40 << 20, 'x'));
  v1::RankResponse response;
  grpc::ClientContext context;
  const grpc::Status status = stub_->Rank(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(InfoOf(status).reason(), "TOO_LARGE");
  EXPECT_THAT(status.error_message(), HasSubstr("expected at most 4194304 bytes, got 41943"));
}

// There gRPC resets the call before the whole of it is in memory; the connection stays.
TEST_F(GrpcServerTest, AMessageAboveTheBufferIsResetAndNothingElse) {
  v1::RankRequest request;
  request.set_query(std::string(2 * GrpcServerOptions().max_buffered_bytes, 'x'));
  v1::RankResponse response;
  grpc::ClientContext context;
  const grpc::Status status = stub_->Rank(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.error_message(), HasSubstr("RST_STREAM"));
  grpc::ClientContext list;
  v1::ListVariantsResponse variants;
  EXPECT_TRUE(admin_->ListVariants(&list, v1::ListVariantsRequest(), &variants).ok());
}

TEST_F(GrpcServerTest, ParsingAndReplyAreStagesOfACall) {
  grpc::ClientContext context;
  v1::RankResponse response;
  std::future<grpc::Status> call = RankLater(&context, &response);
  const auto submission = ranker_.Next();
  EXPECT_EQ(CallsOf(Stage::kParse), 1);
  EXPECT_EQ(CallsOf(Stage::kReply), 0);
  submission->done(AnswerOf({0.0F, 1.0F}, {1, 0}));
  EXPECT_EQ(CallsOf(Stage::kReply), 1);
  EXPECT_TRUE(call.get().ok());
}

TEST_F(GrpcServerTest, BytesThatAreNoMessageAreTheCallersFault) {
  grpc::GenericStub stub(channel_);
  grpc::CompletionQueue queue;
  grpc::ClientContext context;
  const grpc::Slice slice("\xff\xff\xff garbage");
  const grpc::ByteBuffer request(&slice, 1);
  auto reader = stub.PrepareUnaryCall(&context, "/tailor.v1.Ranker/Rank", request, &queue);
  reader->StartCall();
  grpc::ByteBuffer response;
  grpc::Status status;
  reader->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  ASSERT_TRUE(queue.Next(&tag, &ok));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(InfoOf(status).reason(), "INVALID_ARGUMENT");
  EXPECT_THAT(status.error_message(), HasSubstr("tailor.v1.RankRequest"));
}

TEST_F(GrpcServerTest, TokenizeAnswersWithoutThePipeline) {
  v1::TokenizeRequest request;
  request.add_texts("Hello worlds");
  request.add_special_tokens();
  request.set_add_special_tokens(true);
  v1::TokenizeResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(stub_->Tokenize(&context, request, &response).ok());
  ASSERT_EQ(response.results_size(), 1);
  EXPECT_THAT(response.results(0).tokens(), ElementsAre("[CLS]", "hello", "world", "##s", "[SEP]"));
  EXPECT_THAT(response.results(0).ids(), ElementsAre(2, 4, 5, 6, 3));
}

TEST_F(GrpcServerTest, AdminTellsVariantsStatusAndChoices) {
  v1::ListVariantsResponse variants;
  grpc::ClientContext list;
  ASSERT_TRUE(admin_->ListVariants(&list, v1::ListVariantsRequest(), &variants).ok());
  ASSERT_EQ(variants.variants_size(), 2);
  EXPECT_EQ(variants.variants(0).id(), "small");
  EXPECT_DOUBLE_EQ(variants.variants(0).cost().fixed_s(), 0.001);
  EXPECT_EQ(variants.variants(1).state(), "refused");
  EXPECT_EQ(variants.variants(1).problem(), "expected more");

  v1::GetStatusResponse status;
  grpc::ClientContext get;
  ASSERT_TRUE(admin_->GetStatus(&get, v1::GetStatusRequest(), &status).ok());
  EXPECT_EQ(status.state(), "starting");
  EXPECT_EQ(status.queued_requests(), 3);
  EXPECT_GT(status.resident_bytes(), 0);
  ASSERT_EQ(status.decisions_size(), 1);
  EXPECT_EQ(status.decisions(0).variant(), "small");
  EXPECT_EQ(status.decisions(0).split(), "rows");

  v1::ExplainRequest question;
  question.add_lengths(10);
  v1::ExplainResponse explanation;
  grpc::ClientContext explain;
  ASSERT_TRUE(admin_->Explain(&explain, question, &explanation).ok());
  EXPECT_EQ(explanation.variant(), "small");
  EXPECT_EQ(explanation.candidates(0).why(), "chosen");
}

TEST_F(GrpcServerTest, WithoutAVariantEverythingIsNotReady) {
  Start(RequestLimits{}, nullptr);
  v1::RankResponse response;
  grpc::ClientContext context;
  const grpc::Status status = stub_->Rank(&context, v1::RankRequest(), &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(InfoOf(status).reason(), "NOT_READY");
  v1::ListVariantsResponse variants;
  grpc::ClientContext list;
  ASSERT_TRUE(admin_->ListVariants(&list, v1::ListVariantsRequest(), &variants).ok());
  EXPECT_EQ(variants.variants_size(), 1);  // the refused one
}

TEST_F(GrpcServerTest, TwoServersNeverShareAPort) {
  GrpcServerOptions options;
  options.listen = Address();
  const auto second = GrpcServer::Start(
      options, {.ranker = &ranker_, .health = health_.get(), .facts = &facts_, .clock = &clock_});
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("in use"));
}

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

HealthCheckRequest HealthOf(const std::string& service) {
  HealthCheckRequest request;
  request.set_service(service);
  return request;
}

TEST_F(GrpcServerTest, HealthIsThatOfTheServer) {
  const auto health = grpc::health::v1::Health::NewStub(channel_);
  HealthCheckResponse response;
  for (const std::string service : {"", "tailor.v1.Ranker"}) {
    grpc::ClientContext context;
    ASSERT_TRUE(health->Check(&context, HealthOf(service), &response).ok());
    EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
  }
  health_->MoveTo(HealthState::kReady);
  grpc::ClientContext ready;
  ASSERT_TRUE(health->Check(&ready, HealthOf(""), &response).ok());
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  grpc::ClientContext unknown;
  EXPECT_EQ(health->Check(&unknown, HealthOf("nothing"), &response).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(GrpcServerTest, WatchesSeeEachStateAndEndWithTheServer) {
  const auto health = grpc::health::v1::Health::NewStub(channel_);
  grpc::ClientContext context;
  grpc::ClientContext unknown_context;
  HealthCheckResponse response;
  const auto watch = health->Watch(&context, HealthOf("tailor.v1.Ranker"));
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
  const auto unknown = health->Watch(&unknown_context, HealthOf("nothing"));
  ASSERT_TRUE(unknown->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVICE_UNKNOWN);
  health_->MoveTo(HealthState::kReady);
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  health_->MoveTo(HealthState::kDraining);
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
  server_->Shutdown(std::chrono::hours(1));
  server_ = nullptr;
  EXPECT_FALSE(watch->Read(&response));
  EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_FALSE(unknown->Read(&response));
  EXPECT_EQ(unknown->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(GrpcServerTest, AWatchEndsWhenItsCallerGoesAway) {
  const auto health = grpc::health::v1::Health::NewStub(channel_);
  HealthCheckResponse response;
  for (int i = 0; i < 20; ++i) {
    grpc::ClientContext context;
    const auto watch = health->Watch(&context, HealthOf(""));
    ASSERT_TRUE(watch->Read(&response));
    context.TryCancel();
    EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  health_->MoveTo(HealthState::kReady);
  grpc::ClientContext context;
  const auto watch = health->Watch(&context, HealthOf(""));
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
}

TEST_F(GrpcServerTest, ShutdownLetsCallsInFlightEnd) {
  grpc::ClientContext context;
  v1::RankResponse response;
  std::future<grpc::Status> call = RankLater(&context, &response);
  const auto submission = ranker_.Next();
  std::thread shutdown([this] { server_->Shutdown(std::chrono::seconds(60)); });
  // The listener is closed once a fresh connection is refused.
  grpc::Status late = grpc::Status::OK;
  while (late.error_code() != grpc::StatusCode::UNAVAILABLE) {
    grpc::ChannelArguments own_connection;
    own_connection.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    const auto stub = v1::Admin::NewStub(
        grpc::CreateCustomChannel(Address(), grpc::InsecureChannelCredentials(), own_connection));
    grpc::ClientContext probe;
    v1::GetStatusResponse status;
    late = stub->GetStatus(&probe, v1::GetStatusRequest(), &status);
  }
  submission->done(AnswerOf({0.0F, 1.0F}, {1, 0}));
  EXPECT_TRUE(call.get().ok());
  shutdown.join();
  server_ = nullptr;
}

TEST_F(GrpcServerTest, ShutdownCancelsWhatOutlivesTheGrace) {
  grpc::ClientContext context;
  v1::RankResponse response;
  std::future<grpc::Status> call = RankLater(&context, &response);
  const auto submission = ranker_.Next();
  server_->Shutdown(std::chrono::seconds(0));
  EXPECT_FALSE(call.get().ok());
  EXPECT_TRUE(submission->cancelled);
  server_ = nullptr;
}

}  // namespace
}  // namespace tailor
