// SPDX-License-Identifier: Apache-2.0
// The rule of Model-Switching, section 3: effective accuracy at the measured load.
#include "server/pipeline/policies/model_switching.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/testing/queue_scene.h"

namespace tailor {
namespace {

TEST(ModelSwitching, ShareInTimeOfAQueue) {
  const std::vector<double> one_at_a_time = {0.01};
  // Hardly any load: everyone is alone.
  EXPECT_EQ(ModelSwitchingPolicy::ShareInTime(one_at_a_time, 0.01, 0.011), 1);
  EXPECT_EQ(ModelSwitchingPolicy::ShareInTime(one_at_a_time, 0.01, 0.009), 0);
  // M/D/1 at half load: nobody waits with probability 1 - 0.5.
  EXPECT_NEAR(ModelSwitchingPolicy::ShareInTime(one_at_a_time, 50, 0.01 + 1e-9), 0.5, 0.05);
  // Twice the capacity: the queue grows without end.
  EXPECT_LT(ModelSwitchingPolicy::ShareInTime(one_at_a_time, 200, 0.05), 0.05);
  // Batches that cost no more: the same load is in time again, after two batches at most.
  const std::vector<double> free_batches(16, 0.01);
  EXPECT_EQ(ModelSwitchingPolicy::ShareInTime(free_batches, 200, 0.021), 1);
}

class LoadedScene {
 public:
  LoadedScene() : scene_("model-switching") { scene_.Variant(0.9, 10).Variant(0.7, 1); }

  // A second of arrivals at that rate, then one request to choose for.
  int VariantAfter(int rate) {
    for (int i = 0; i < rate; ++i) {
      scene_.Advance(1000.0 / rate);
      scene_.Add({.left_ms = 50});
      scene_.Apply({.variant = 1, .portions = {{0, 1}}});
    }
    scene_.Advance(10);
    scene_.Add({.left_ms = 50});
    const Selection selection = scene_.Select();
    scene_.Apply(selection);
    return selection.variant;
  }

 private:
  QueueScene scene_;
};

// 10 ms a query on the large one: a load of 20 leaves nearly all in time, 200 none.
TEST(ModelSwitching, SwitchesWithTheLoadOfTheLastInterval) {
  LoadedScene scene;
  EXPECT_EQ(scene.VariantAfter(20), 0);
  EXPECT_EQ(scene.VariantAfter(200), 1);
  EXPECT_EQ(scene.VariantAfter(20), 0);
}

// Nothing is re-decided within an interval.
TEST(ModelSwitching, KeepsItsChoiceForAnInterval) {
  QueueScene scene("model-switching");
  scene.Variant(0.9, 10).Variant(0.7, 1).Add({.left_ms = 50});
  ASSERT_EQ(scene.Select().variant, 0);
  for (int i = 0; i < 30; ++i) scene.Add({.left_ms = 50});
  scene.Advance(20);
  EXPECT_EQ(scene.Select().variant, 0);
}

}  // namespace
}  // namespace tailor
