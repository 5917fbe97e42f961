// SPDX-License-Identifier: Apache-2.0
// The rule of Clipper, section 4.3.1: plus one, times nine tenths.
#include "server/pipeline/policies/aimd.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/testing/queue_scene.h"

namespace tailor {
namespace {

using ::testing::SizeIs;

TEST(Aimd, GrowsByOneAndShrinksByATenth) {
  QueueScene scene("aimd");
  scene.Variant(0.9, 1);
  auto& policy = dynamic_cast<AimdPolicy&>(scene.selector());
  for (int i = 0; i < 30; ++i) scene.Add({.left_ms = 100});
  for (size_t batch = 1; batch <= 4; ++batch) {
    const Selection selection = scene.Select();
    EXPECT_THAT(selection.portions, SizeIs(batch));
    policy.OnBatchDone({.variant = 0, .seconds = 0.001 * static_cast<double>(batch)}, scene.now());
    scene.Apply(selection);
  }
  EXPECT_EQ(policy.batch(0), 5);
  scene.Select();
  policy.OnBatchDone({.variant = 0, .seconds = 1}, scene.now());  // beyond the first deadline
  EXPECT_EQ(policy.batch(0), 4.5);
}

// A batch that could have been larger says nothing about a larger one.
TEST(Aimd, DoesNotGrowWithoutNeed) {
  QueueScene scene("aimd");
  scene.Variant(0.9, 1).Add({}).Add({});
  auto& policy = dynamic_cast<AimdPolicy&>(scene.selector());
  scene.Apply(scene.Select());
  policy.OnBatchDone({.variant = 0, .seconds = 0.001}, scene.now());
  ASSERT_EQ(policy.batch(0), 2);
  scene.Apply(scene.Select());  // one query, two allowed
  policy.OnBatchDone({.variant = 0, .seconds = 0.001}, scene.now());
  EXPECT_EQ(policy.batch(0), 2);
}

TEST(Aimd, TakesTheBestVariantThatKeepsTheFirstDeadline) {
  QueueScene scene("aimd");
  scene.Variant(0.9, 10).Variant(0.7, 1).Add({.left_ms = 9});
  EXPECT_EQ(scene.Select().variant, 1);
}

}  // namespace
}  // namespace tailor
