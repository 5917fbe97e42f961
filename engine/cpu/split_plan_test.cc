// SPDX-License-Identifier: Apache-2.0
#include "engine/cpu/split_plan.h"

#include <algorithm>
#include <numeric>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tailor {
namespace {

using ::testing::ElementsAre;

SplitPlan Plan(const std::vector<int>& lengths, int threads, int max_shared_rows = 1024) {
  std::vector<int32_t> offsets{0};
  for (const int length : lengths) offsets.push_back(offsets.back() + length);
  SplitPlan plan;
  PlanSplit(offsets, threads, {.max_shared_rows = max_shared_rows}, plan);
  return plan;
}

TEST(SplitPlan, OneThreadTakesAllInBatchOrder) {
  const SplitPlan plan = Plan({3, 9, 5}, 1);
  EXPECT_FALSE(plan.is_shared);
  EXPECT_THAT(plan.sequences, ElementsAre(0, 1, 2));
  EXPECT_THAT(plan.first, ElementsAre(0, 3));
}

TEST(SplitPlan, GivesTheLongOneToOneThreadAndTheShortOnesToTheOther) {
  std::vector<int> lengths(65, 16);
  lengths[7] = 512;
  const SplitPlan plan = Plan(lengths, 2);
  EXPECT_FALSE(plan.is_shared);
  EXPECT_EQ(plan.sequences[0], 7);
  EXPECT_LE(plan.first[1], 12);  // the long one and a few short ones; the other has the rest
}

TEST(SplitPlan, EverySequenceHasExactlyOneThread) {
  std::mt19937 random(1);
  for (const int threads : {1, 2, 3, 8}) {
    for (int round = 0; round < 50; ++round) {
      std::vector<int> lengths(1 + random() % 64);
      for (int& length : lengths) length = 1 + static_cast<int>(random() % 512);
      const SplitPlan plan = Plan(lengths, threads);
      std::vector<int> sorted = plan.sequences;
      std::sort(sorted.begin(), sorted.end());
      for (size_t i = 0; i < sorted.size(); ++i) EXPECT_EQ(sorted[i], static_cast<int>(i));
      if (plan.is_shared) continue;
      ASSERT_EQ(plan.first.size(), static_cast<size_t>(threads) + 1);
      EXPECT_TRUE(std::is_sorted(plan.first.begin(), plan.first.end()));
      EXPECT_EQ(plan.first.back(), static_cast<int>(lengths.size()));
    }
  }
}

TEST(SplitPlan, OneSequenceIsSharedByRows) {
  const SplitPlan plan = Plan({128}, 2);
  EXPECT_TRUE(plan.is_shared);
  EXPECT_THAT(plan.sequences, ElementsAre(0));
  EXPECT_THAT(plan.first_row, ElementsAre(0, 64, 128));
}

TEST(SplitPlan, ThreeEqualSequencesAreSharedByTwoThreads) {
  const SplitPlan plan = Plan({128, 128, 128}, 2);
  EXPECT_TRUE(plan.is_shared);
  EXPECT_THAT(plan.first_row, ElementsAre(0, 192, 384));
}

TEST(SplitPlan, TooManyRowsAreNeverShared) { EXPECT_FALSE(Plan({300, 300, 600}, 2).is_shared); }

// Products write whole buckets; a share that ended inside one would be overwritten by its
// neighbour.
TEST(SplitPlan, SharesEndAtBucketsOfRows) {
  for (const int threads : {2, 3, 8}) {
    for (int rows = 1; rows <= 600; ++rows) {
      const SplitPlan plan = Plan({rows}, threads);
      ASSERT_TRUE(plan.is_shared);
      ASSERT_EQ(plan.first_row.front(), 0);
      ASSERT_EQ(plan.first_row.back(), rows);
      for (int t = 0; t + 1 < threads; ++t) {
        const int share = plan.first_row[t + 1] - plan.first_row[t];
        ASSERT_GE(share, 0);
        if (plan.first_row[t + 1] == rows) continue;
        ASSERT_EQ(share % (share <= 32 ? 4 : 16), 0) << rows << " rows, thread " << t;
      }
    }
  }
}

TEST(SplitPlan, AReservedPlanDoesNotAllocate) {
  SplitPlan plan;
  ReservePlan(64, 3, plan);
  const int* sequences = plan.sequences.data();
  const int* rows = plan.first_row.data();
  std::vector<int32_t> offsets(65);
  std::iota(offsets.begin(), offsets.end(), 0);
  PlanSplit(offsets, 3, {.max_shared_rows = 1024}, plan);
  PlanSplit(std::vector<int32_t>{0, 100}, 3, {.max_shared_rows = 1024}, plan);
  EXPECT_EQ(plan.sequences.data(), sequences);
  EXPECT_EQ(plan.first_row.data(), rows);
}

TEST(SplitPlan, SharesOutputsOfFewRows) {
  const SplitLimits limits = {.max_shared_rows = 512, .max_output_rows = 256, .min_unit = 16};
  SplitPlan plan;
  for (const int rows : {1, 16, 128, 256}) {
    PlanSplit(std::vector<int32_t>{0, rows}, 2, limits, plan);
    EXPECT_TRUE(plan.is_shared && plan.shares_outputs) << rows;
    EXPECT_EQ(plan.first_row.back(), rows);
  }
  PlanSplit(std::vector<int32_t>{0, 257}, 2, limits, plan);
  EXPECT_TRUE(plan.is_shared);
  EXPECT_FALSE(plan.shares_outputs);
  PlanSplit(std::vector<int32_t>{0, 100, 200}, 2, limits, plan);  // though each could have one
  EXPECT_TRUE(plan.is_shared && plan.shares_outputs);
  EXPECT_EQ(plan.sequences, (std::vector<int>{0, 1}));
  PlanSplit(std::vector<int32_t>{0, 200, 400}, 2, limits, plan);  // a sequence a thread
  EXPECT_FALSE(plan.is_shared || plan.shares_outputs);
  PlanSplit(std::vector<int32_t>{0, 100}, 1, limits, plan);
  EXPECT_FALSE(plan.is_shared || plan.shares_outputs);
}

}  // namespace
}  // namespace tailor
