// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/response_building.h"

#include <chrono>
#include <cmath>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "server/pipeline/activation.h"

namespace tailor {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;

ServedVariant VariantWith(OutputActivation activation, int score_index = 0) {
  ServedVariant variant;
  variant.id = "small";
  variant.task.activation = activation;
  variant.task.score_index = score_index;
  variant.task.labels = {"no", "yes"};
  variant.quality = Quality{.ndcg10 = 0.75};
  return variant;
}

TEST(ScoreOf, ScalesAreRawSigmoidOrWhatTheFamilyMeans) {
  const std::vector<float> logits = {2.0F};
  const TaskSpec sigmoid = VariantWith(OutputActivation::kSigmoid).task;
  const TaskSpec none = VariantWith(OutputActivation::kNone).task;
  const auto expected = static_cast<float>(1 / (1 + std::exp(-2.0)));
  EXPECT_FLOAT_EQ(ScoreOf(logits, sigmoid, v1::SCORE_SCALE_RAW), 2.0F);
  EXPECT_FLOAT_EQ(ScoreOf(logits, none, v1::SCORE_SCALE_SIGMOID), expected);
  EXPECT_FLOAT_EQ(ScoreOf(logits, sigmoid, v1::SCORE_SCALE_UNSPECIFIED), expected);
  EXPECT_FLOAT_EQ(ScoreOf(logits, none, v1::SCORE_SCALE_UNSPECIFIED), 2.0F);
}

TEST(ScoreOf, SoftmaxUsesTheWholeRow) {
  const std::vector<float> logits = {0.0F, std::log(3.0F)};
  const TaskSpec task = VariantWith(OutputActivation::kSoftmax, 1).task;
  EXPECT_NEAR(ScoreOf(logits, task, v1::SCORE_SCALE_UNSPECIFIED), 0.75F, 1e-6);
}

TEST(ScoreOf, ExtremeLogitsStayFinite) {
  const TaskSpec sigmoid = VariantWith(OutputActivation::kSigmoid).task;
  EXPECT_FLOAT_EQ(ScoreOf(std::vector<float>{-1000.0F}, sigmoid, v1::SCORE_SCALE_SIGMOID), 0.0F);
  EXPECT_FLOAT_EQ(ScoreOf(std::vector<float>{1000.0F}, sigmoid, v1::SCORE_SCALE_SIGMOID), 1.0F);
  // Subtracting the largest magnitude instead of the largest value would give NaN here.
  EXPECT_THAT(Activated(std::vector<float>{-100.0F, 0.5F}, OutputActivation::kSoftmax),
              ElementsAre(FloatNear(0.0F, 1e-6F), FloatNear(1.0F, 1e-6F)));
}

TEST(FillRank, KeepsTheOrderOfTheAnswer) {
  const ServedVariant variant = VariantWith(OutputActivation::kNone);
  Answer answer;
  answer.outputs = {0.1F, 0.9F, 0.5F};
  answer.order = {1, 2};
  answer.truncated = {0, 1, 0};
  answer.variant = 0;
  v1::RankResponse response;
  FillRank(answer, &variant, {}, v1::SCORE_SCALE_UNSPECIFIED, &response);
  ASSERT_EQ(response.results_size(), 2);
  EXPECT_EQ(response.results(0).index(), 1);
  EXPECT_FLOAT_EQ(response.results(0).score(), 0.9F);
  EXPECT_TRUE(response.results(0).truncated());
  EXPECT_EQ(response.results(1).index(), 2);
  EXPECT_FALSE(response.results(1).truncated());
}

TEST(FillRank, SaysWhichVariantOfACascadeScoredEachDocument) {
  std::vector<ServedVariant> variants(2, VariantWith(OutputActivation::kNone));
  variants[0].id = "quick";
  variants[1].id = "good";
  variants[1].quality = Quality{.ndcg10 = 0.9};
  Answer answer;
  answer.outputs = {0.1F, 0.9F, 0.5F};
  answer.order = {1, 2, 0};
  answer.variants = {0, 1, 1};
  answer.cascade_quality = 0.85;
  answer.variant = 1;
  v1::RankResponse response;
  FillRank(answer, &variants[1], variants, v1::SCORE_SCALE_UNSPECIFIED, &response);
  ASSERT_EQ(response.results_size(), 3);
  EXPECT_EQ(response.results(0).variant(), "good");
  EXPECT_EQ(response.results(1).variant(), "good");
  EXPECT_EQ(response.results(2).variant(), "quick");
  v1::Execution execution;
  FillExecution(answer, &variants[1], Duration::zero(), &execution);
  EXPECT_DOUBLE_EQ(execution.quality(), 0.85);
  EXPECT_EQ(execution.variant(), "good");
}

TEST(FillClassify, NamesClassesBestFirst) {
  ServedVariant variant = VariantWith(OutputActivation::kSoftmax);
  Answer answer;
  answer.num_outputs = 3;
  answer.outputs = {0.0F, 2.0F, 1.0F};
  v1::ClassifyResponse response;
  FillClassify(answer, &variant, /*raw_scores=*/true, &response);
  ASSERT_EQ(response.results_size(), 1);
  const v1::Classification& result = response.results(0);
  EXPECT_EQ(result.classes(0).label(), "yes");
  EXPECT_FLOAT_EQ(result.classes(0).score(), 2.0F);
  EXPECT_EQ(result.classes(1).label(), "LABEL_2");  // has no name of its own
  EXPECT_EQ(result.classes(2).label(), "no");
  v1::ClassifyResponse probabilities;
  FillClassify(answer, &variant, /*raw_scores=*/false, &probabilities);
  float sum = 0;
  for (const v1::ClassScore& score : probabilities.results(0).classes()) sum += score.score();
  EXPECT_NEAR(sum, 1.0F, 1e-6);
}

TEST(FillEmbed, OneRowAText) {
  Answer answer;
  answer.num_outputs = 2;
  answer.outputs = {1, 2, 3, 4};
  v1::EmbedResponse response;
  FillEmbed(answer, &response);
  ASSERT_EQ(response.embeddings_size(), 2);
  EXPECT_THAT(response.embeddings(1).values(), ElementsAre(3, 4));
}

TEST(FillExecution, SaysHowTheAnswerCameAbout) {
  const ServedVariant variant = VariantWith(OutputActivation::kSigmoid);
  Answer answer;
  answer.variant = 0;
  answer.reason = SelectionReason::kDegraded;
  answer.budget = std::chrono::milliseconds(20);
  answer.predicted = std::chrono::microseconds(1500);
  answer.queue = std::chrono::microseconds(200);
  answer.compute = std::chrono::microseconds(900);
  answer.tokens = 77;
  answer.truncated = {1, 0, 1};
  v1::Execution execution;
  FillExecution(answer, &variant, std::chrono::microseconds(1234), &execution);
  EXPECT_EQ(execution.variant(), "small");
  EXPECT_DOUBLE_EQ(execution.quality(), 0.75);
  EXPECT_EQ(execution.reason(), "degraded");
  EXPECT_EQ(execution.budget_us(), 20'000);
  EXPECT_EQ(execution.predicted_us(), 1500);
  EXPECT_EQ(execution.queue_us(), 200);
  EXPECT_EQ(execution.compute_us(), 900);
  EXPECT_EQ(execution.total_us(), 1234);
  EXPECT_EQ(execution.tokens(), 77);
  EXPECT_EQ(execution.truncated(), 2);
}

TEST(FillExecution, NothingRanSoNoVariantIsNamed) {
  v1::Execution execution;
  FillExecution(Answer{}, nullptr, std::chrono::microseconds(5), &execution);
  EXPECT_EQ(execution.variant(), "");
  EXPECT_EQ(execution.total_us(), 5);
}

}  // namespace
}  // namespace tailor
