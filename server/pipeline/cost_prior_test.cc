// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/cost_prior.h"

#include <cmath>
#include <optional>
#include <vector>

#include "gtest/gtest.h"

#include "server/pipeline/stepped_ranker.h"
#include "tests/testing/pipeline_harness.h"

namespace tailor {
namespace {

constexpr CostCoefficients kKnown{.fixed = 1e-4, .per_token = 2e-6, .per_row = 1e-6};

WorkShape Rows(int rows, int tokens) {
  WorkShape shape;
  for (int i = 0; i < rows; ++i) shape.Add(tokens);
  return shape;
}

CostSample Times(double factor, const WorkShape& shape) {
  return {shape, factor * ModeledSeconds(kKnown, shape)};
}

TEST(TowardsPrior, HalvesWhatIsTooSlowAndBelievesWhatIsFaster) {
  const WorkShape shape = Rows(4, 32);
  const double known = ModeledSeconds(kKnown, shape);
  const auto samples =
      TowardsPrior({Times(4, shape), Times(1, shape), Times(0.5, shape)}, kKnown, {});
  ASSERT_EQ(samples.size(), 3U);
  EXPECT_DOUBLE_EQ(samples[0].seconds, 2 * known);
  EXPECT_DOUBLE_EQ(samples[1].seconds, known);
  EXPECT_DOUBLE_EQ(samples[2].seconds, 0.5 * known);
}

TEST(TowardsPrior, ShapesWithoutTimeFollowTheOthers) {
  const std::vector<WorkShape> shapes = {Rows(1, 8), Rows(4, 32), Rows(16, 128)};
  const auto samples = TowardsPrior({Times(4, shapes[0]), Times(1, shapes[1])}, kKnown, shapes);
  ASSERT_EQ(samples.size(), 3U);
  EXPECT_EQ(samples[2].shape.tokens, shapes[2].tokens);
  EXPECT_NEAR(samples[2].seconds, std::sqrt(2 * 1) * ModeledSeconds(kKnown, shapes[2]), 1e-9);
}

TEST(TowardsPrior, AnEmptyPriorChangesNothing) {
  const CostSample sample = Times(3, Rows(1, 8));
  EXPECT_EQ(TowardsPrior({sample}, CostCoefficients{}, std::vector{Rows(4, 32)})[0].seconds,
            sample.seconds);
}

// Of a pipeline whose engine takes `slowdown` times what `kKnown` says.
CostCoefficients FittedAtWarmUp(double slowdown, const std::optional<CostCoefficients>& prior) {
  const FakeVariant variant{.id = "a",
                            .quality = 0.5,
                            .cost = {.fixed = slowdown * kKnown.fixed,
                                     .per_token = slowdown * kKnown.per_token,
                                     .per_row = slowdown * kKnown.per_row}};
  ManualClock clock;
  Recorder recorder(MakeRecorderOptions({variant}));
  std::vector<ServedVariant> served = MakeServed({variant});
  served[0].prior = prior;
  std::vector<std::unique_ptr<Backend>> backends;
  backends.push_back(
      std::make_unique<FakeBackend>(std::vector<FakeCost>{variant.cost}, BatchLimits(), &clock));
  const auto ranker =
      SteppedRanker::Create(PipelineHarness::Options(), MakeWordTokenizer(), std::move(served),
                            std::move(backends), &recorder, &clock);
  EXPECT_TRUE(ranker.ok() && (*ranker)->WarmUp().ok());
  return (*ranker)->Report().costs[0];
}

TEST(WarmUpWithPrior, ATwiceTooSlowOneIsPulledTowardsWhatWasKnown) {
  const WorkShape usual = Rows(8, 64);
  const double known = ModeledSeconds(kKnown, usual);
  EXPECT_NEAR(ModeledSeconds(FittedAtWarmUp(2, std::nullopt), usual), 2 * known, 0.01 * known);
  EXPECT_NEAR(ModeledSeconds(FittedAtWarmUp(2, kKnown), usual), std::sqrt(2) * known, 0.01 * known);
  EXPECT_NEAR(ModeledSeconds(FittedAtWarmUp(0.5, kKnown), usual), 0.5 * known, 0.01 * known);
}

// What is really slower is followed, start by start.
TEST(WarmUpWithPrior, ARealChangeIsFollowed) {
  const WorkShape usual = Rows(8, 64);
  CostCoefficients prior = kKnown;
  for (int start = 0; start < 6; ++start) prior = FittedAtWarmUp(3, prior);
  EXPECT_NEAR(ModeledSeconds(prior, usual) / ModeledSeconds(kKnown, usual), 3, 0.1);
}

}  // namespace
}  // namespace tailor
