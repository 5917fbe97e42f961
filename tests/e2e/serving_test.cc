// SPDX-License-Identifier: Apache-2.0
// The main job, text in and scores out, against the reference backend.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "grpcpp/client_context.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

#include "engine/backend_factory.h"
#include "engine/model/model_package.h"
#include "server/text/tokenizer.h"
#include "tests/e2e/test_server.h"
#include "tests/testing/tiny_linear.h"

namespace tailor {
namespace {

using ::testing::HasSubstr;
using testing::RankRequestOf;
using testing::TempFolder;
using testing::TestServer;

const std::vector<std::string> kDocuments = {"abc def", "", "a b c d e f g h", "zz 9", "abc"};

// What the reference backend says of pairs, or of single texts when `second` is empty.
std::vector<std::vector<float>> Reference(const std::filesystem::path& folder,
                                          const std::vector<std::string>& first,
                                          const std::vector<std::string>& second) {
  const ModelPackage package = LoadModelPackage(folder).value();
  const Tokenizer tokenizer = Tokenizer::Create({.vocabulary = package.tokenizer.vocabulary,
                                                 .lower_case = package.tokenizer.lower_case,
                                                 .strip_accents = package.tokenizer.strip_accents})
                                  .value();
  const auto backend = CreateBackend({.device = Device::kReference}).value();
  const LoadedCut loaded = backend->Load(package).value();
  const int longest = std::min(package.task.max_tokens, package.config.max_positions);
  std::vector<std::vector<float>> rows;
  for (size_t i = 0; i < first.size(); ++i) {
    std::vector<int32_t> ids;
    std::vector<int32_t> types;
    if (second.empty()) {
      tokenizer.AssembleSingle(tokenizer.EncodeText(first[i]), longest, &ids, &types);
    } else {
      tokenizer.AssemblePair(tokenizer.EncodeText(first[i]), tokenizer.EncodeText(second[i]),
                             longest, &ids, &types);
    }
    Batch batch;
    batch.Append(ids, types);
    std::vector<float> outputs(static_cast<size_t>(loaded.num_outputs));
    EXPECT_TRUE(backend->Run(loaded.cut, batch, outputs).ok());
    rows.push_back(outputs);
  }
  return rows;
}

float Sigmoid(float x) { return 1 / (1 + std::exp(-x)); }

class ServingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    testing::WriteTinyFamily(folder_.path());
    server_ = std::make_unique<TestServer>(folder_.path(), ServerConfig{});
  }

  TempFolder folder_;
  std::unique_ptr<TestServer> server_;
};

TEST_F(ServingTest, RankIsBestFirstWithTheScoresOfTheReference) {
  v1::RankRequest request = RankRequestOf("a b", kDocuments);
  v1::RankResponse response;
  const grpc::Status status = server_->Rank(request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  const auto expected = Reference(folder_.path() / "large",
                                  std::vector<std::string>(kDocuments.size(), "a b"), kDocuments);
  ASSERT_EQ(response.results_size(), static_cast<int>(kDocuments.size()));
  for (int i = 0; i < response.results_size(); ++i) {
    const v1::RankedDocument& result = response.results(i);
    EXPECT_NEAR(result.score(), Sigmoid(expected[static_cast<size_t>(result.index())][0]), 1e-4);
    if (i > 0) {
      EXPECT_GE(response.results(i - 1).score(), result.score());
    }
  }
  const v1::Execution& execution = response.execution();
  EXPECT_EQ(execution.variant(), "large");  // the best, and there is time
  EXPECT_DOUBLE_EQ(execution.quality(), 0.8);
  EXPECT_EQ(execution.reason(), "fit");
  EXPECT_EQ(execution.budget_us(), 30'000'000);
  EXPECT_GT(execution.predicted_us(), 0);
  EXPECT_GT(execution.compute_us(), 0);
  EXPECT_GE(execution.total_us(), execution.compute_us());
  EXPECT_GT(execution.tokens(), 0);
  EXPECT_EQ(execution.truncated(), 0);
}

TEST_F(ServingTest, TopNRawScoresAndPinsAreHonoured) {
  v1::RankRequest request = RankRequestOf("a b", kDocuments);
  request.set_top_n(2);
  request.set_scale(v1::SCORE_SCALE_RAW);
  request.mutable_options()->set_variant("small");
  v1::RankResponse response;
  ASSERT_TRUE(server_->Rank(request, &response).ok());
  const auto expected = Reference(folder_.path() / "small",
                                  std::vector<std::string>(kDocuments.size(), "a b"), kDocuments);
  ASSERT_EQ(response.results_size(), 2);
  EXPECT_NEAR(response.results(0).score(),
              expected[static_cast<size_t>(response.results(0).index())][0], 1e-4);
  EXPECT_EQ(response.execution().variant(), "small");
  EXPECT_EQ(response.execution().reason(), "pin");
  request.set_top_n(100);  // clamps
  response.Clear();
  ASSERT_TRUE(server_->Rank(request, &response).ok());
  EXPECT_EQ(response.results_size(), static_cast<int>(kDocuments.size()));
}

TEST_F(ServingTest, ScoreKeepsTheOrderOfThePairs) {
  v1::ScoreRequest request;
  request.set_scale(v1::SCORE_SCALE_RAW);
  request.mutable_options()->set_latency_budget_us(30'000'000);
  std::vector<std::string> first;
  for (const std::string& document : kDocuments) {
    first.push_back("q " + document);
    v1::TextPair* pair = request.add_pairs();
    pair->set_first(first.back());
    pair->set_second(document);
  }
  v1::ScoreResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(server_->ranker().Score(&context, request, &response).ok());
  const auto expected = Reference(folder_.path() / "large", first, kDocuments);
  ASSERT_EQ(response.scores_size(), static_cast<int>(kDocuments.size()));
  for (int i = 0; i < response.scores_size(); ++i) {
    EXPECT_NEAR(response.scores(i), expected[static_cast<size_t>(i)][0], 1e-4);
  }
}

TEST_F(ServingTest, ClassifyTakesSingleTexts) {
  v1::ClassifyRequest request;
  request.set_raw_scores(true);
  request.mutable_options()->set_latency_budget_us(30'000'000);
  for (const std::string& document : kDocuments) request.add_inputs()->set_first(document);
  v1::ClassifyResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(server_->ranker().Classify(&context, request, &response).ok());
  const auto expected = Reference(folder_.path() / "large", kDocuments, {});
  ASSERT_EQ(response.results_size(), static_cast<int>(kDocuments.size()));
  for (int i = 0; i < response.results_size(); ++i) {
    EXPECT_NEAR(response.results(i).classes(0).score(), expected[static_cast<size_t>(i)][0], 1e-4);
  }
}

TEST_F(ServingTest, EmbedNeedsAnEmbeddingHead) {
  v1::EmbedRequest request;
  request.add_texts("abc");
  v1::EmbedResponse response;
  grpc::ClientContext context;
  const grpc::Status status = server_->ranker().Embed(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(testing::ErrorInfoOf(status).reason(), "UNSUPPORTED_OUTPUT");
}

TEST(EmbeddingFamily, EmbedsLikeTheReference) {
  const TempFolder folder;
  testing::WriteTinyFamily(folder.path(), /*num_labels=*/0);
  TestServer server(folder.path(), ServerConfig{});
  v1::EmbedRequest request;
  for (const std::string& document : kDocuments) request.add_texts(document);
  request.mutable_options()->set_variant("small");
  request.mutable_options()->set_latency_budget_us(30'000'000);
  v1::EmbedResponse response;
  grpc::ClientContext context;
  const grpc::Status status = server.ranker().Embed(&context, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  const auto expected = Reference(folder.path() / "small", kDocuments, {});
  ASSERT_EQ(response.embeddings_size(), static_cast<int>(kDocuments.size()));
  for (int i = 0; i < response.embeddings_size(); ++i) {
    const auto& values = response.embeddings(i).values();
    ASSERT_EQ(values.size(), static_cast<int>(expected[static_cast<size_t>(i)].size()));
    for (int n = 0; n < values.size(); ++n) {
      EXPECT_NEAR(values.Get(n), expected[static_cast<size_t>(i)][static_cast<size_t>(n)], 1e-4);
    }
  }
}

TEST(LinearFamily, ALinearVariantServesBesideEncoders) {
  const TempFolder folder;
  testing::WriteTinyFamily(folder.path());
  testing::WriteTinyLinear(
      folder.path() / "linear",
      {.quality = Quality{.ndcg10 = 0.4, .ci_low = 0.35, .ci_high = 0.45, .dataset_id = "tiny"}});
  TestServer server(folder.path(), ServerConfig{});
  v1::RankRequest request = RankRequestOf("a b", kDocuments);
  v1::RankResponse response;
  ASSERT_TRUE(server.Rank(request, &response).ok());
  EXPECT_EQ(response.execution().variant(), "large");  // there is time for the best
  request.set_scale(v1::SCORE_SCALE_RAW);
  request.mutable_options()->set_variant("linear");
  const auto expected = Reference(folder.path() / "linear",
                                  std::vector<std::string>(kDocuments.size(), "a b"), kDocuments);
  // Often: what a batch of microseconds does to the cost must not keep the next one out.
  for (int i = 0; i < 50; ++i) {
    response.Clear();
    const grpc::Status status = server.Rank(request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.execution().variant(), "linear");
    EXPECT_DOUBLE_EQ(response.execution().quality(), 0.4);
    ASSERT_EQ(response.results_size(), static_cast<int>(kDocuments.size()));
    for (const v1::RankedDocument& result : response.results()) {
      EXPECT_NEAR(result.score(), expected[static_cast<size_t>(result.index())][0], 1e-5);
    }
  }
  EXPECT_THAT(server.Page("/statusz"), HasSubstr("linear"));
}

TEST(LinearFamily, OneLinearVariantAloneIsAFamily) {
  const TempFolder folder;
  testing::WriteTinyLinear(folder.path() / "linear", {});
  TestServer server(folder.path(), ServerConfig{});
  v1::RankResponse response;
  const grpc::Status status = server.Rank(RankRequestOf("a b", kDocuments), &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.execution().variant(), "linear");
  EXPECT_EQ(response.execution().reason(), "fit");
}

TEST_F(ServingTest, TokenizeGivesTheTokenizersIds) {
  v1::TokenizeRequest request;
  request.add_texts("ab");
  v1::TokenizeResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(server_->ranker().Tokenize(&context, request, &response).ok());
  ASSERT_EQ(response.results_size(), 1);
  EXPECT_EQ(response.results(0).ids_size(), response.results(0).tokens_size());
  EXPECT_GT(response.results(0).ids_size(), 0);
}

TEST_F(ServingTest, LongDocumentsAreCutAndSaySo) {
  std::string text;
  for (int i = 0; i < 500; ++i) text += "a ";
  v1::RankResponse response;
  ASSERT_TRUE(server_->Rank(RankRequestOf("q", {text, "a"}), &response).ok());
  EXPECT_EQ(response.execution().truncated(), 1);
  for (const v1::RankedDocument& result : response.results()) {
    EXPECT_EQ(result.truncated(), result.index() == 0);
  }
}

TEST_F(ServingTest, TheDefaultBudgetAppliesWhenNoneIsNamed) {
  v1::RankRequest request = RankRequestOf("q", {"a"});
  request.clear_options();
  request.mutable_options()->set_variant("small");
  v1::RankResponse response;
  ASSERT_TRUE(server_->Rank(request, &response).ok());
  EXPECT_EQ(response.execution().budget_us(), 100'000);
}

TEST_F(ServingTest, AdminAndPagesShowWhatWasServed) {
  v1::RankResponse response;
  ASSERT_TRUE(server_->Rank(RankRequestOf("q", kDocuments), &response).ok());
  v1::GetStatusResponse status;
  grpc::ClientContext get;
  ASSERT_TRUE(server_->admin().GetStatus(&get, v1::GetStatusRequest(), &status).ok());
  EXPECT_EQ(status.state(), "ready");
  ASSERT_GE(status.decisions_size(), 1);
  EXPECT_EQ(status.decisions(0).variant(), "large");
  EXPECT_EQ(status.decisions(0).pairs(), static_cast<int>(kDocuments.size()));

  v1::ListVariantsResponse variants;
  grpc::ClientContext list;
  ASSERT_TRUE(server_->admin().ListVariants(&list, v1::ListVariantsRequest(), &variants).ok());
  ASSERT_EQ(variants.variants_size(), 2);
  for (const v1::Variant& variant : variants.variants()) {
    EXPECT_EQ(variant.state(), "ready");
    EXPECT_GT(variant.cost().per_token_s() + variant.cost().fixed_s(), 0);
  }

  EXPECT_EQ(server_->Page("/healthz"), "ready\n");
  EXPECT_THAT(server_->Page("/statusz"), HasSubstr("large"));
  const nlohmann::json json = nlohmann::json::parse(server_->Page("/statusz?format=json"));
  EXPECT_EQ(json["decisions"][0]["variant"], "large");
  EXPECT_EQ(server_->Metric("tailor_requests_total", "reason=\"ok\""), 3);
}

TEST_F(ServingTest, ExplainSaysWhatWouldBeChosen) {
  v1::ExplainRequest request;
  for (int i = 0; i < 8; ++i) request.add_lengths(20);
  request.set_latency_budget_us(30'000'000);
  v1::ExplainResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(server_->admin().Explain(&context, request, &response).ok());
  EXPECT_EQ(response.variant(), "large");
  ASSERT_EQ(response.candidates_size(), 2);
  EXPECT_EQ(response.candidates(0).variant(), "large");  // best quality first
  EXPECT_GT(response.smallest_feasible_budget_us(), 0);
}

}  // namespace
}  // namespace tailor
