// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/cost_model.h"

#include <cmath>
#include <limits>
#include <vector>

#include "gtest/gtest.h"

namespace tailor {
namespace {

WorkShape Shape(int rows, int tokens) {
  WorkShape shape;
  for (int i = 0; i < rows; ++i) shape.Add(tokens);
  return shape;
}

const WorkShape kShapes[] = {Shape(1, 8),   Shape(1, 32), Shape(4, 8),  Shape(4, 32),
                             Shape(1, 128), Shape(8, 64), Shape(1, 512)};

std::vector<CostSample> SamplesOf(const CostCoefficients& cost) {
  std::vector<CostSample> samples;
  for (const WorkShape& shape : kShapes) samples.push_back({shape, ModeledSeconds(cost, shape)});
  return samples;
}

TEST(FitCost, FindsTheCoefficientsOfExactTimes) {
  const CostCoefficients truth{
      .fixed = 2e-4, .per_token = 3e-6, .per_square = 4e-9, .per_row = 5e-6};
  const auto fitted = FitCost(SamplesOf(truth));
  ASSERT_TRUE(fitted.ok());
  EXPECT_NEAR(fitted->fixed, truth.fixed, 1e-8);
  EXPECT_NEAR(fitted->per_token, truth.per_token, 1e-10);
  EXPECT_NEAR(fitted->per_square, truth.per_square, 1e-12);
  EXPECT_NEAR(fitted->per_row, truth.per_row, 1e-9);
}

// Times that would need a negative term still give a model that never predicts less for more.
TEST(FitCost, IsNeverNegative) {
  std::vector<CostSample> samples;
  for (const WorkShape& shape : kShapes) {
    const double tokens = static_cast<double>(shape.tokens);
    samples.push_back({shape, 1e-5 * tokens / (1 + 1e-3 * tokens)});  // cheaper with size
  }
  const auto fitted = FitCost(samples);
  ASSERT_TRUE(fitted.ok());
  EXPECT_GE(fitted->fixed, 0);
  EXPECT_GE(fitted->per_token, 0);
  EXPECT_GE(fitted->per_square, 0);
  EXPECT_GE(fitted->per_row, 0);
  for (const CostSample& sample : samples) {
    EXPECT_NEAR(ModeledSeconds(*fitted, sample.shape) / sample.seconds, 1, 0.35);
  }
}

TEST(FitCost, LeavesOutWhatIsNoTime) {
  const CostCoefficients truth{.fixed = 1e-4, .per_token = 1e-6};
  std::vector<CostSample> samples = SamplesOf(truth);
  samples.push_back({Shape(2, 16), std::numeric_limits<double>::quiet_NaN()});
  samples.push_back({Shape(2, 16), std::numeric_limits<double>::infinity()});
  samples.push_back({Shape(2, 16), -1});
  samples.push_back({Shape(2, 16), 0});
  const auto fitted = FitCost(samples);
  ASSERT_TRUE(fitted.ok());
  EXPECT_NEAR(fitted->fixed, truth.fixed, 1e-8);
  EXPECT_NEAR(fitted->per_token, truth.per_token, 1e-10);
}

TEST(FitCost, RefusesNothing) { EXPECT_FALSE(FitCost({}).ok()); }

TEST(FitCost, OneSampleIsEnoughToPredictIt) {
  const CostSample sample{Shape(1, 16), 1e-3};
  const auto fitted = FitCost({&sample, 1});
  ASSERT_TRUE(fitted.ok());
  EXPECT_NEAR(ModeledSeconds(*fitted, sample.shape), 1e-3, 1e-9);
}

TEST(IsFullBatch, OnlyWhenMoreRowsSaveNothing) {
  const CostCoefficients no_fixed{.per_token = 1e-5};
  EXPECT_FALSE(IsFullBatch(no_fixed, Shape(1, 255)));
  EXPECT_TRUE(IsFullBatch(no_fixed, Shape(1, 256)));
  // 1,000 tokens of 1 us are 1 ms: the server's own work on such a batch would count.
  const CostCoefficients fast{.per_token = 1e-6};
  EXPECT_FALSE(IsFullBatch(fast, Shape(1, 1999)));
  EXPECT_TRUE(IsFullBatch(fast, Shape(1, 2000)));
  // A fixed cost of 1 ms is 3 % of a batch of 33 ms.
  const CostCoefficients with_fixed{.fixed = 1e-3, .per_token = 1e-5};
  EXPECT_FALSE(IsFullBatch(with_fixed, Shape(32, 100)));
  EXPECT_TRUE(IsFullBatch(with_fixed, Shape(33, 100)));
}

TEST(AloneSeconds, CountsTheFixedCostOfEveryBatch) {
  const BatchLimits limits{.max_tokens = 1000, .max_sequences = 10, .max_sequence_tokens = 100};
  const CostCoefficients cost{.fixed = 1, .per_token = 1e-3};
  EXPECT_NEAR(AloneSeconds(cost, Shape(1, 100), limits), 1.1, 1e-9);
  EXPECT_NEAR(AloneSeconds(cost, Shape(20, 100), limits), 2 + 2, 1e-9);    // by tokens
  EXPECT_NEAR(AloneSeconds(cost, Shape(25, 10), limits), 3 + 0.25, 1e-9);  // by rows
  EXPECT_NEAR(SharedSeconds(cost, Shape(5, 100), limits), 0.5 + 0.5, 1e-9);
  EXPECT_EQ(AloneSeconds(cost, WorkShape(), limits), 0);
}

TEST(BatchSeconds, AppliesTheRatio) {
  const CostCoefficients cost{.fixed = 1, .ratio = 3};
  EXPECT_EQ(BatchSeconds(cost, Shape(1, 1)), 3);
  EXPECT_EQ(ModeledSeconds(cost, Shape(1, 1)), 1);
}

}  // namespace
}  // namespace tailor
