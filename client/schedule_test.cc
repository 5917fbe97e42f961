// SPDX-License-Identifier: Apache-2.0
#include "client/schedule.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tailor::client {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

ScheduleSpec Spec(Arrivals arrivals, double rate = 1000, double seconds = 100) {
  ScheduleSpec spec;
  spec.rate = rate;
  spec.duration = FromSeconds(seconds);
  spec.arrivals = arrivals;
  spec.budgets = {{milliseconds(20), 0.25}, {milliseconds(50), 0.75}};
  spec.documents_per_call = 32;
  return spec;
}

struct Gaps {
  double mean = 0;
  double squared_cv = 0;
};

Gaps GapsOf(const std::vector<PlannedCall>& calls) {
  double sum = 0;
  double squares = 0;
  for (size_t i = 1; i < calls.size(); ++i) {
    const double gap = ToSeconds(calls[i].offset - calls[i - 1].offset);
    EXPECT_GE(gap, 0) << "offsets must not decrease";
    sum += gap;
    squares += gap * gap;
  }
  const double n = static_cast<double>(calls.size() - 1);
  const double mean = sum / n;
  return {mean, squares / n / (mean * mean) - 1};
}

// The two moments name the process: a wrong shape or scale parameter shows in one of them. 100,000
// gaps put the mean within 1 % and CV^2 within a few percent; the seed is fixed, so this cannot
// flake.
TEST(BuildSchedule, PoissonHasTheRateAndUnitVariation) {
  const auto calls = BuildSchedule(Spec({Arrivals::Kind::kPoisson, 1}));
  ASSERT_TRUE(calls.ok());
  const Gaps gaps = GapsOf(*calls);
  EXPECT_NEAR(gaps.mean, 0.001, 0.00002);
  EXPECT_NEAR(gaps.squared_cv, 1, 0.03);
}

TEST(BuildSchedule, GammaHasTheRateAndTheAskedVariation) {
  for (const double cv2 : {0.25, 4.0, 16.0}) {
    const auto calls = BuildSchedule(Spec({Arrivals::Kind::kGamma, cv2}));
    ASSERT_TRUE(calls.ok());
    const Gaps gaps = GapsOf(*calls);
    EXPECT_NEAR(gaps.mean, 0.001, 0.001 * 0.05) << cv2;
    EXPECT_NEAR(gaps.squared_cv, cv2, cv2 * 0.1) << cv2;
  }
}

TEST(BuildSchedule, ConstantIsEven) {
  const auto calls = BuildSchedule(Spec({Arrivals::Kind::kConstant, 0}, 200, 2));
  ASSERT_TRUE(calls.ok());
  EXPECT_NEAR(static_cast<double>(calls->size()), 400, 1);
  EXPECT_NEAR(ToMillis((*calls)[1].offset), 5, 1e-6);
  EXPECT_LT(calls->back().offset, std::chrono::seconds(2));
}

TEST(BuildSchedule, SameSeedSameCallsOtherSeedOthers) {
  ScheduleSpec spec = Spec({Arrivals::Kind::kPoisson, 1}, 100, 1);
  const auto first = BuildSchedule(spec);
  const auto again = BuildSchedule(spec);
  spec.seed = 2;
  const auto other = BuildSchedule(spec);
  ASSERT_TRUE(first.ok() && again.ok() && other.ok());
  ASSERT_EQ(first->size(), again->size());
  for (size_t i = 0; i < first->size(); ++i) {
    EXPECT_EQ((*first)[i].offset, (*again)[i].offset);
    EXPECT_EQ((*first)[i].budget, (*again)[i].budget);
  }
  ASSERT_GT(other->size(), 1u);
  EXPECT_NE((*first)[1].offset, (*other)[1].offset);
}

TEST(BuildSchedule, BudgetsFollowTheirShares) {
  const auto calls = BuildSchedule(Spec({Arrivals::Kind::kPoisson, 1}));
  ASSERT_TRUE(calls.ok());
  double second = 0;
  for (const PlannedCall& call : *calls) second += call.budget;
  EXPECT_NEAR(second / static_cast<double>(calls->size()), 0.75, 0.01);
}

TEST(BuildSchedule, RefusesWhatCannotBeMeant) {
  EXPECT_FALSE(BuildSchedule(Spec({}, 0)).ok());
  EXPECT_FALSE(BuildSchedule(Spec({}, 1e9, 3600)).ok());
}

TEST(ParseBudgetMix, NormalisesWeights) {
  const auto mix = ParseBudgetMix("20ms:1, 50ms:3");
  ASSERT_TRUE(mix.ok()) << mix.status();
  ASSERT_EQ(mix->size(), 2u);
  EXPECT_EQ((*mix)[0].budget, milliseconds(20));
  EXPECT_DOUBLE_EQ((*mix)[0].share, 0.25);
  EXPECT_DOUBLE_EQ((*mix)[1].share, 0.75);
}

TEST(ParseBudgetMix, WeightsAreOptionalAndNoneMeansNoBudget) {
  const auto mix = ParseBudgetMix("none,1.5s");
  ASSERT_TRUE(mix.ok()) << mix.status();
  EXPECT_EQ((*mix)[0].budget, Duration::zero());
  EXPECT_EQ((*mix)[1].budget, milliseconds(1500));
  EXPECT_DOUBLE_EQ((*mix)[1].share, 0.5);
}

TEST(ParseBudgetMix, RefusesBadOnes) {
  for (const char* bad : {"", "20", "20ms:", "20ms:0", "20ms:-1", "20ms:nan", "61s", "0ms", "-5ms",
                          "20ms,20ms", "20ms:1:2"}) {
    EXPECT_FALSE(ParseBudgetMix(bad).ok()) << bad;
  }
}

TEST(ParseArrivals, KnowsThreeKinds) {
  EXPECT_EQ(ParseArrivals("poisson")->kind, Arrivals::Kind::kPoisson);
  EXPECT_EQ(ParseArrivals("constant")->kind, Arrivals::Kind::kConstant);
  EXPECT_DOUBLE_EQ(ParseArrivals("gamma:4")->squared_cv, 4);
  for (const char* bad : {"gamma", "gamma:", "gamma:0", "gamma:1000", "bursty", ""}) {
    EXPECT_FALSE(ParseArrivals(bad).ok()) << bad;
  }
}

TEST(ParseTrace, ReadsOffsetsBudgetsAndDocuments) {
  const auto trace = ParseTrace("# recorded\n10.5\r\n10.5 20ms\n\n11, 5ms, 8\n",
                                Spec({Arrivals::Kind::kPoisson, 1}));
  ASSERT_TRUE(trace.ok()) << trace.status();
  ASSERT_EQ(trace->calls.size(), 3u);
  EXPECT_EQ(trace->calls[0].offset, Duration::zero());  // the first call starts the run
  EXPECT_EQ(trace->calls[0].documents, 32);
  EXPECT_EQ(trace->calls[1].budget, 0);
  EXPECT_EQ(trace->calls[2].offset, milliseconds(500));
  EXPECT_EQ(trace->calls[2].documents, 8);
  ASSERT_EQ(trace->budgets.size(), 3u);  // 5ms is new
  EXPECT_EQ(trace->budgets[static_cast<size_t>(trace->calls[2].budget)].budget, milliseconds(5));
}

TEST(ParseTrace, StopsAtTheDuration) {
  const auto trace = ParseTrace("0\n1\n2\n", Spec({}, 1, 1.5));
  ASSERT_TRUE(trace.ok());
  EXPECT_EQ(trace->calls.size(), 2u);
}

TEST(ParseTrace, NamesTheBadLine) {
  const auto decreasing = ParseTrace("1\n0.5\n", Spec({}));
  ASSERT_FALSE(decreasing.ok());
  EXPECT_THAT(std::string(decreasing.status().message()), HasSubstr("line 2"));
  EXPECT_FALSE(ParseTrace("", Spec({})).ok());
  EXPECT_FALSE(ParseTrace("nan\n", Spec({})).ok());
  EXPECT_FALSE(ParseTrace("1 20ms 8 9\n", Spec({})).ok());
  EXPECT_FALSE(ParseTrace("1 20ms -8\n", Spec({})).ok());
}

}  // namespace
}  // namespace tailor::client
