// SPDX-License-Identifier: Apache-2.0
// The rules of INFaaS, section 5 and its code, on numbers that can be worked out by hand.
#include "server/pipeline/policies/infaas.h"

#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/testing/queue_scene.h"

namespace tailor {
namespace {

using ::testing::ElementsAre;

// A row takes 20, 5 and 1 ms.
QueueScene ThreeVariants(const std::string& policy) {
  QueueScene scene(policy);
  scene.Variant(0.9, 20).Variant(0.8, 5).Variant(0.7, 1);
  return scene;
}

TEST(InfaasMinCost, TakesTheCheapestWhateverTheBudget) {
  QueueScene scene = ThreeVariants("infaas-mincost");
  scene.Add({.left_ms = 10000});
  EXPECT_EQ(scene.Select().variant, 2);
}

// The accuracy bound of a query is our minimum quality.
TEST(InfaasMinCost, KeepsTheAccuracyBound) {
  QueueScene scene = ThreeVariants("infaas-mincost");
  scene.Add({.admissible = OneVariant(0) | OneVariant(1)});
  EXPECT_EQ(scene.Select().variant, 1);
}

TEST(InfaasSlowestFit, TakesTheSlowestWithinTheBudget) {
  for (const auto& [budget_ms, variant] :
       {std::pair(25.0, 0), std::pair(10.0, 1), std::pair(4.0, 2)}) {
    QueueScene scene = ThreeVariants("infaas-slowest-fit");
    scene.Add({.left_ms = budget_ms});
    EXPECT_EQ(scene.Select().variant, variant) << budget_ms;
  }
}

// slope * b + intercept: two rows of 5 ms do not fit 10 ms less a fixed millisecond.
TEST(InfaasSlowestFit, LatencyGrowsWithTheInputsOfTheQuery) {
  QueueScene scene("infaas-slowest-fit");
  scene.Variant(0.8, 5, true, 1).Variant(0.7, 1).Add({.rows = 2, .left_ms = 10.9});
  EXPECT_EQ(scene.Select().variant, 1);
}

// Bound at arrival: what queues up since does not change it.
TEST(InfaasSlowestFit, DoesNotLookAtTheQueue) {
  QueueScene scene = ThreeVariants("infaas-slowest-fit");
  for (int i = 0; i < 10; ++i) scene.Add({.left_ms = 25});
  const Selection selection = scene.Select();
  EXPECT_EQ(selection.variant, 0);
  EXPECT_THAT(PortionsOf(selection), ElementsAre(std::pair(0, 1)));
}

// Five times its profile at more than its rate, for a second.
void BeSlow(QueueScene* scene, int variant, double profile_seconds) {
  WorkShape row;
  row.Add(100);
  for (double passed = 0; passed < 1.2; passed += profile_seconds) {
    scene->selector().OnBatchDone({.variant = variant,
                                   .completed = 1,
                                   .latency_seconds = 5 * profile_seconds,
                                   .completed_work = row},
                                  scene->now());
  }
}

TEST(InfaasSlowestFit, BlacklistsWhatIsSlow) {
  QueueScene scene = ThreeVariants("infaas-slowest-fit");
  scene.Add({.left_ms = 25});
  scene.Apply(scene.Select());
  BeSlow(&scene, 0, 0.020);
  scene.Advance(1000);
  scene.Select();
  const auto& policy = dynamic_cast<InfaasSlowestFitPolicy&>(scene.selector());
  EXPECT_TRUE(policy.IsBlacklisted(0));
  EXPECT_FALSE(policy.IsBlacklisted(1));
  scene.Add({.left_ms = 25});
  EXPECT_EQ(scene.Select().variant, 1);
  // A second without traffic clears it.
  scene.Advance(1000);
  scene.Select();
  EXPECT_FALSE(policy.IsBlacklisted(0));
}

// Every tenth query to the one that would have been taken, the others to the fastest.
TEST(InfaasSlowestFit, ProbesWhenAllAreBlacklisted) {
  QueueScene scene = ThreeVariants("infaas-slowest-fit");
  scene.Add({.left_ms = 25});
  scene.Apply(scene.Select());
  BeSlow(&scene, 0, 0.020);
  BeSlow(&scene, 1, 0.005);
  BeSlow(&scene, 2, 0.001);
  scene.Advance(1000);
  scene.Select();
  std::vector<int> counts(3);
  for (int i = 0; i < 20; ++i) {
    scene.Add({.left_ms = 25});
    ++counts[static_cast<size_t>(scene.entries().back().assigned)];
  }
  EXPECT_THAT(counts, ElementsAre(2, 0, 18));
}

}  // namespace
}  // namespace tailor
