// SPDX-License-Identifier: Apache-2.0
#include "server/telemetry/health.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tailor {
namespace {

using ::testing::ElementsAre;

TEST(Health, GoesForwardOnly) {
  Health health;
  EXPECT_EQ(health.state(), HealthState::kStarting);
  EXPECT_TRUE(health.MoveTo(HealthState::kReady));
  EXPECT_FALSE(health.MoveTo(HealthState::kReady));
  EXPECT_FALSE(health.MoveTo(HealthState::kStarting));
  EXPECT_TRUE(health.MoveTo(HealthState::kDraining));
  EXPECT_FALSE(health.MoveTo(HealthState::kReady));
  EXPECT_EQ(health.state(), HealthState::kDraining);
}

TEST(Health, CanDrainBeforeItIsReady) {
  Health health;
  EXPECT_TRUE(health.MoveTo(HealthState::kDraining));
}

TEST(Health, FailsFromEveryStateForGood) {
  for (const HealthState state :
       {HealthState::kStarting, HealthState::kReady, HealthState::kDraining}) {
    Health health;
    health.MoveTo(state);
    EXPECT_TRUE(health.MoveTo(HealthState::kFailed));
    EXPECT_FALSE(health.MoveTo(HealthState::kReady));
    EXPECT_EQ(HealthStateName(health.state()), "failed");
  }
}

TEST(Health, TellsObserversNowAndAtEveryChange) {
  Health health;
  std::vector<HealthState> seen;
  health.Observe([&](HealthState state) { seen.push_back(state); });
  health.MoveTo(HealthState::kReady);
  health.MoveTo(HealthState::kReady);
  health.MoveTo(HealthState::kDraining);
  EXPECT_THAT(seen,
              ElementsAre(HealthState::kStarting, HealthState::kReady, HealthState::kDraining));
}

}  // namespace
}  // namespace tailor
