// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/warm_up.h"

#include "gtest/gtest.h"

#include "tests/testing/fake_backend.h"

namespace tailor {
namespace {

struct WarmUpResult {
  absl::StatusOr<std::vector<CostSample>> samples;
  Duration taken{};
};

WarmUpResult WarmUp(const FakeCost& cost, const BatchLimits& limits = {}) {
  ManualClock clock;
  FakeBackend backend({cost}, limits, &clock);
  const TimePoint start = clock.Now();
  WarmUpResult result{.samples = MeasureVariant(&backend, {.cut = {}, .num_outputs = 1},
                                                {.limits = limits, .vocab_size = 50}, &clock)};
  result.taken = clock.Now() - start;
  return result;
}

TEST(MeasureVariant, FindsTheCostOfAFastVariant) {
  const FakeCost truth{.fixed = 1e-4, .per_token = 1e-6, .per_square = 1e-9, .per_row = 1e-6};
  const WarmUpResult result = WarmUp(truth);
  ASSERT_TRUE(result.samples.ok());
  const auto fitted = FitCost(*result.samples);
  ASSERT_TRUE(fitted.ok());
  EXPECT_NEAR(fitted->fixed, truth.fixed, 1e-6);
  EXPECT_NEAR(fitted->per_token, truth.per_token, 1e-8);
  EXPECT_NEAR(fitted->per_square, truth.per_square, 1e-11);
  EXPECT_LT(ToSeconds(result.taken), 0.05);
}

// A large model must not keep the server from starting.
TEST(MeasureVariant, StaysWithinItsTime) {
  const WarmUpResult result = WarmUp({.fixed = 1e-3, .per_token = 3e-4});
  ASSERT_TRUE(result.samples.ok());
  EXPECT_GE(result.samples->size(), 4U);
  EXPECT_LT(ToSeconds(result.taken), 0.3);
  const auto fitted = FitCost(*result.samples);
  ASSERT_TRUE(fitted.ok());
  EXPECT_NEAR(fitted->per_token, 3e-4, 1e-5);
}

// Even the slowest is measured once: without a cost it could not be served.
TEST(MeasureVariant, MeasuresTheSmallestShapeWhateverItTakes) {
  const WarmUpResult result = WarmUp({.fixed = 10});
  ASSERT_TRUE(result.samples.ok());
  EXPECT_EQ(result.samples->size(), 1U);
}

// Microseconds a batch: the clock's own steps are of the size of what is measured.
TEST(MeasureVariant, FindsTheCostOfAVariantOfMicroseconds) {
  const FakeCost truth{.fixed = 1e-6, .per_token = 2e-9, .per_square = 1e-10, .per_row = 5e-7};
  const WarmUpResult result = WarmUp(truth);
  ASSERT_TRUE(result.samples.ok());
  const auto fitted = FitCost(*result.samples);
  ASSERT_TRUE(fitted.ok());
  for (const CostSample& sample : *result.samples) {
    EXPECT_NEAR(ModeledSeconds(*fitted, sample.shape), sample.seconds, 0.1 * sample.seconds);
  }
}

TEST(MeasureVariant, KeepsToSmallLimits) {
  const BatchLimits limits{.max_tokens = 20, .max_sequences = 2, .max_sequence_tokens = 10};
  EXPECT_TRUE(WarmUp({.per_token = 1e-6}, limits).samples.ok());
}

TEST(MeasureVariant, PassesOnTheBackendsError) {
  FakeBackend backend({FakeCost{}}, {}, nullptr);
  backend.FailNext(0, 1);
  const ManualClock clock;
  EXPECT_FALSE(MeasureVariant(&backend, {.cut = {}, .num_outputs = 1}, {}, &clock).ok());
}

}  // namespace
}  // namespace tailor
