// SPDX-License-Identifier: Apache-2.0
// The rules of Proteus, sections 4 and 5, on numbers that can be worked out by hand.
#include "server/pipeline/policies/proteus.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/testing/queue_scene.h"

namespace tailor {
namespace {

using ::testing::SizeIs;

// With 10 ms for 100 tokens on "a" and 1 ms on "b": 100 and 1000 queries a second.
class ProteusTest : public ::testing::Test {
 protected:
  ProteusTest() : scene_("proteus") {
    scene_.Variant(0.9, 10).Variant(0.7, 1).Add({.left_ms = 100});
    mean_.Observe(scene_.entries()[0]);
  }

  int Plan(double demand) {
    return ProteusPolicy::Plan(scene_.variants(), mean_, scene_.limits, demand);
  }

  QueueScene scene_;
  MeanQuery mean_;
};

// beta = 1.05 of the demand must be served.
TEST_F(ProteusTest, PlansTheMostAccurateThatServesTheDemand) {
  EXPECT_EQ(Plan(90), 0);
  EXPECT_EQ(Plan(98), 1);
  EXPECT_EQ(Plan(900), 1);
}

// Nothing serves 1500: beta falls until the small one does (at 0.65), which the large never can.
TEST_F(ProteusTest, RelaxesTheDemandUntilSomethingIsFeasible) { EXPECT_EQ(Plan(1500), 1); }

// A variant of which not even one query keeps the objective serves nobody.
TEST_F(ProteusTest, KeepsTheObjective) {
  QueueScene tight("proteus");
  tight.Variant(0.9, 10).Variant(0.7, 1).Add({.left_ms = 5});
  MeanQuery mean;
  mean.Observe(tight.entries()[0]);
  EXPECT_EQ(ProteusPolicy::Plan(tight.variants(), mean, tight.limits, 1), 1);
}

// 50 queries a second are let in and 850 refused: "a" would serve the former.
TEST_F(ProteusTest, WhatWasRefusedIsDemand) {
  int variant = -1;
  for (int i = 0; i < 600; ++i) {
    for (int refused = 0; refused < 17; ++refused) scene_.Refuse({.left_ms = 100});
    scene_.Add({.left_ms = 100}).Advance(20);
    const Selection selection = scene_.Select();
    if (selection.variant >= 0) variant = selection.variant;
    scene_.Apply(selection);
  }
  EXPECT_EQ(variant, 1);
}

// One query of 10 ms with 100 ms left: it may wait until 90.
TEST_F(ProteusTest, WaitsForMoreUntilTheFirstDeadlineIsAtStake) {
  const Selection waiting = scene_.Select();
  EXPECT_EQ(waiting.variant, -1);
  ASSERT_TRUE(waiting.wait_until.has_value());
  EXPECT_NEAR(ToMillis(*waiting.wait_until - scene_.now()), 90, 1e-3);
  // A second query brings that forward.
  scene_.Add({.left_ms = 150});
  EXPECT_NEAR(ToMillis(*scene_.Select().wait_until - scene_.now()), 80, 1e-3);
  scene_.Advance(80);
  const Selection fired = scene_.Select();
  EXPECT_EQ(fired.variant, 0);
  EXPECT_THAT(fired.portions, SizeIs(2));
}

// With q queries the time has passed: the q - 1 that still fit are run.
TEST_F(ProteusTest, LeavesOutWhatDoesNotFitAnyMore) {
  scene_.Select();
  scene_.Advance(85);
  scene_.Add({.left_ms = 100});
  const Selection fired = scene_.Select();
  EXPECT_EQ(fired.variant, 0);
  EXPECT_THAT(fired.portions, SizeIs(1));
}

// The largest batch within 100 ms is nine queries of 10 ms: nobody waits for a tenth.
TEST_F(ProteusTest, RunsAFullBatchAtOnce) {
  for (int i = 0; i < 12; ++i) scene_.Add({.left_ms = 100});
  const Selection fired = scene_.Select();
  EXPECT_EQ(fired.variant, 0);
  EXPECT_THAT(fired.portions, SizeIs(9));
}

}  // namespace
}  // namespace tailor
