// SPDX-License-Identifier: Apache-2.0
// The rules of SuperServe, section 4.2, on numbers that can be worked out by hand.
#include "server/pipeline/policies/slackfit.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/testing/queue_scene.h"

namespace tailor {
namespace {

using ::testing::SizeIs;

// A query takes 3 ms on "a" and 1 ms on "b"; batches of 16: 48 ms and 16 ms. 64 buckets between
// 1 ms and 48 ms, 0.734 ms each.
QueueScene TwoVariants() {
  QueueScene scene("slackfit");
  scene.Variant(0.9, 3).Variant(0.7, 1);
  return scene;
}

TEST(SlackFit, BucketsHoldTheLargestBatchBelowTheirEdge) {
  QueueScene scene = TwoVariants();
  MeanQuery mean;
  scene.Add({});
  mean.Observe(scene.entries()[0]);
  const auto buckets = SlackFitPolicy::MakeBuckets(scene.variants(), mean, scene.limits);
  ASSERT_THAT(buckets, SizeIs(SlackFitPolicy::kBuckets));
  // Edge 1.73 ms: only one query on the small variant is below it.
  EXPECT_EQ(buckets[0].variant, 1);
  EXPECT_EQ(buckets[0].batch, 1);
  // Edge 3.94 ms: three queries on the small variant beat one on the large.
  EXPECT_EQ(buckets[3].variant, 1);
  EXPECT_EQ(buckets[3].batch, 3);
  // Edge 20.1 ms: sixteen on the small variant, though six on the large would fit.
  EXPECT_EQ(buckets[25].variant, 1);
  EXPECT_EQ(buckets[25].batch, 16);
  // The last one: sixteen on the large.
  EXPECT_EQ(buckets[63].variant, 0);
  EXPECT_EQ(buckets[63].batch, 16);
}

// Of equal batches the better variant.
TEST(SlackFit, EqualBatchesGoToTheBetterVariant) {
  QueueScene scene("slackfit");
  scene.Variant(0.9, 1.5).Variant(0.7, 1).Add({.left_ms = 30});
  EXPECT_EQ(scene.Select().variant, 0);  // 24 ms for 16, below 30
}

TEST(SlackFit, LittleSlackTakesASmallVariantAndASmallBatch) {
  QueueScene scene = TwoVariants();
  for (int i = 0; i < 20; ++i) scene.Add({.left_ms = 3.9 + i});
  const Selection selection = scene.Select();
  EXPECT_EQ(selection.variant, 1);
  EXPECT_THAT(selection.portions, SizeIs(3));
}

// The latency closest to the slack is that of sixteen small ones; that one query waits does not
// count.
TEST(SlackFit, IgnoresTheLengthOfTheQueue) {
  QueueScene scene = TwoVariants();
  scene.Add({.left_ms = 20});
  EXPECT_EQ(scene.Select().variant, 1);
}

TEST(SlackFit, MuchSlackTakesTheBestVariantAndALargeBatch) {
  QueueScene scene = TwoVariants();
  for (int i = 0; i < 20; ++i) scene.Add({.left_ms = 100.0 + i});
  const Selection selection = scene.Select();
  EXPECT_EQ(selection.variant, 0);
  EXPECT_THAT(selection.portions, SizeIs(16));
}

TEST(SlackFit, WithoutABucketInTimeTheFastest) {
  QueueScene scene = TwoVariants();
  scene.Add({.left_ms = 0.5});
  EXPECT_EQ(scene.Select().variant, 1);
}

}  // namespace
}  // namespace tailor
