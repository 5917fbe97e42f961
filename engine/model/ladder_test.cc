// SPDX-License-Identifier: Apache-2.0
#include "engine/model/ladder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tailor {
namespace {

using ::testing::ElementsAre;

TEST(OnLadderTest, KeepsWhatIsBetterThanEverythingCheaper) {
  const std::vector<LadderEntry> entries = {
      {"big", 100, 0.82}, {"middle", 50, 0.74}, {"worse", 60, 0.73}, {"small", 10, 0.74}};
  EXPECT_THAT(OnLadder(entries), ElementsAre(true, false, false, true));
}

TEST(OnLadderTest, EqualCostKeepsTheBetterAndOfTwinsTheFirstId) {
  const std::vector<LadderEntry> entries = {
      {"b", 10, 0.5}, {"a", 10, 0.5}, {"c", 10, 0.4}, {"d", 20, 0.6}, {"e", 20, 0.7}};
  EXPECT_THAT(OnLadder(entries), ElementsAre(false, true, false, false, true));
}

TEST(OnLadderTest, UnknownQualityIsNeverOnItAndBeatsNothing) {
  const std::vector<LadderEntry> entries = {{"plain", 1, {}}, {"big", 100, 0.8}};
  EXPECT_THAT(OnLadder(entries), ElementsAre(false, true));
  EXPECT_TRUE(OnLadder({}).empty());
}

// By hand: 2 * 4 tokens * (4 * 8 * 8 + 2 * 8 * 16) + 4 * 4 * 4 * 8 for the layer, and 2 * 8 * (8 +
// 1).
TEST(EstimateFlopsTest, CountsProductsAttentionAndHead) {
  BertConfig config;
  config.hidden = 8;
  config.layers = {{.num_heads = 2, .head_dim = 4, .ffn_dim = 16}};
  EXPECT_EQ(EstimateFlops(config, 4), 2.0 * 4 * 512 + 4.0 * 16 * 8 + 2.0 * 8 * 9);
  config.head.kind = HeadKind::kEmbedding;
  EXPECT_EQ(EstimateFlops(config, 4), 2.0 * 4 * 512 + 4.0 * 16 * 8);
}

TEST(EstimateCostTest, Bf16CountsHalf) {
  ModelPackage package;
  package.config.hidden = 8;
  package.config.layers = {{.num_heads = 2, .head_dim = 4, .ffn_dim = 16}};
  const double f32 = EstimateCost(package);
  package.format = WeightFormat::kBf16;
  EXPECT_EQ(EstimateCost(package), f32 / 2);
}

}  // namespace
}  // namespace tailor
