// SPDX-License-Identifier: Apache-2.0
#include "server/simulator/engine_noise.h"

#include <cmath>

#include "gtest/gtest.h"

namespace tailor {
namespace {

constexpr Duration kRun = std::chrono::seconds(100);

TEST(EngineNoise, ErrorHasMedianOneAndItsDeviation) {
  EngineNoise noise(0.2, EngineFault::kNone, kRun, 1);
  constexpr int kDraws = 20000;
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double logarithm = std::log(noise.Factor(Duration(i)));
    sum += logarithm;
    squares += logarithm * logarithm;
  }
  EXPECT_NEAR(sum / kDraws, 0, 0.01);
  EXPECT_NEAR(std::sqrt(squares / kDraws), 0.2, 0.005);
}

TEST(EngineNoise, LostCoreAndSlowSpellHaveTheirTimes) {
  EngineNoise core(0, EngineFault::kLostCore, kRun, 1);
  EXPECT_EQ(core.Factor(std::chrono::seconds(39)), 1);
  EXPECT_EQ(core.Factor(std::chrono::seconds(50)), 2);
  EXPECT_EQ(core.Factor(std::chrono::seconds(60)), 1);
  EngineNoise spell(0, EngineFault::kSlowSpell, kRun, 1);
  EXPECT_EQ(spell.Factor(Duration(-1)), 1);
  EXPECT_EQ(spell.Factor(std::chrono::seconds(49)), 1);
  EXPECT_EQ(spell.Factor(std::chrono::seconds(55)), 5);
  EXPECT_EQ(spell.Factor(std::chrono::seconds(60)), 1);
}

TEST(EngineNoise, SlowPhasesTakeATenthOfTheTime) {
  EngineNoise noise(0, EngineFault::kSlowPhases, kRun, 1);
  constexpr int kSeconds = 20000;
  int slow = 0;
  EXPECT_EQ(noise.Factor(Duration::zero()), 1);
  for (int i = 0; i < 10 * kSeconds; ++i) {
    if (noise.Factor(std::chrono::milliseconds(100 * i)) > 1) ++slow;
  }
  EXPECT_NEAR(slow / (10.0 * kSeconds), 0.5 / 5.5, 0.01);
}

TEST(ParseEngineFault, NamesWhatIsAllowed) {
  EXPECT_EQ(*ParseEngineFault("lost-core"), EngineFault::kLostCore);
  const absl::Status status = ParseEngineFault("lost").status();
  EXPECT_EQ(status.message(),
            "fault: expected one of none, slow-phases, lost-core, slow-spell, got \"lost\"");
}

}  // namespace
}  // namespace tailor
