// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/rank_order.h"

#include <numeric>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tailor {
namespace {

using ::testing::ElementsAre;

TEST(RankOrder, IsByScoreAndThenByRow) {
  EXPECT_THAT(RankOrder(std::vector<float>{1, 3, 2, 3}, 1, {}, false), ElementsAre(1, 3, 2, 0));
}

// The higher logit has the lower probability: its other one is higher still.
TEST(RankOrder, OfASoftmaxIsByProbabilityUnlessToldOtherwise) {
  const TaskSpec task = {.score_index = 1, .activation = OutputActivation::kSoftmax};
  const std::vector<float> outputs = {9, 5, 0, 4};
  EXPECT_THAT(RankOrder(outputs, 2, task, false), ElementsAre(1, 0));
  EXPECT_THAT(RankOrder(outputs, 2, task, true), ElementsAre(0, 1));
}

TEST(RankAgreement, OfEqualAndOppositeOrders) {
  const std::vector<int32_t> order = {2, 0, 1};
  const RankAgreement equal = AgreementOf(order, order);
  EXPECT_EQ(equal.top1, 1);
  EXPECT_EQ(equal.top10, 1);
  EXPECT_EQ(equal.kendall_tau, 1);
  const RankAgreement opposite = AgreementOf(order, std::vector<int32_t>{1, 0, 2});
  EXPECT_EQ(opposite.top1, 0);
  EXPECT_EQ(opposite.top10, 1);
  EXPECT_EQ(opposite.kendall_tau, -1);
}

// One neighbouring pair swapped at the edge of the first ten, of 190 pairs.
TEST(RankAgreement, LooksAtTheFirstTen) {
  std::vector<int32_t> first(20);
  std::iota(first.begin(), first.end(), 0);
  std::vector<int32_t> second = first;
  std::swap(second[9], second[10]);
  const RankAgreement agreement = AgreementOf(first, second);
  EXPECT_EQ(agreement.top1, 1);
  EXPECT_DOUBLE_EQ(agreement.top10, 0.9);
  EXPECT_DOUBLE_EQ(agreement.kendall_tau, 1 - 2.0 / 190);
}

}  // namespace
}  // namespace tailor
