// SPDX-License-Identifier: Apache-2.0
#include "server/telemetry/quality_window.h"

#include "gtest/gtest.h"

namespace tailor {
namespace {

constexpr int kBest = 0;
constexpr int kQuick = 1;

// In this family a unit of discordance costs .5: on its lists "quick" has one of .2 and loses .1.
AgreementTable Expected() {
  return {.reference = kBest,
          .reference_quality = 0.85,
          .variants = {ExpectedAgreement{.kendall_tau = 1, .quality = 0.85},
                       ExpectedAgreement{.kendall_tau = 0.6, .quality = 0.75}, std::nullopt}};
}

class QualityWindowTest : public ::testing::Test {
 protected:
  void Review(int count, double kendall_tau, int variant = kQuick) {
    for (int i = 0; i < count; ++i) {
      recorder_.RecordReview({.variant = variant, .best = kBest, .kendall_tau = kendall_tau});
    }
    window_.Update();
  }
  double Quality(int variant = kQuick) const { return window_.Quality(variant).value_or(-1); }

  Recorder recorder_{{.variants = {{.id = "best"}, {.id = "quick"}, {.id = "other"}}}};
  QualityWindow window_{&recorder_, {{.value = 0.9}, {.value = 0.8}, {}}, Expected()};
};

TEST_F(QualityWindowTest, StartsAsEvaluated) {
  window_.Update();
  EXPECT_EQ(Quality(kBest), 0.9);
  EXPECT_EQ(Quality(), 0.8);
  EXPECT_EQ(window_.Quality(2), std::nullopt);
}

TEST_F(QualityWindowTest, FewReviewsMoveNothing) {
  Review(49, -1);
  EXPECT_EQ(Quality(), 0.8);
  Review(1, -1);
  EXPECT_LT(Quality(), 0.8);
}

TEST_F(QualityWindowTest, ExpectedAgreementMovesNothing) {
  Review(400, 0.6);
  EXPECT_NEAR(Quality(), 0.8, 1e-12);
}

// Half of it after 50 reviews: a discordance of .22 in place of .2 costs .01 in all.
TEST_F(QualityWindowTest, MovesByTheExcessAsFarAsItIsTrusted) {
  Review(50, 0.56);
  EXPECT_NEAR(Quality(), 0.8 - 0.005, 1e-9);
  Review(450, 0.56);
  EXPECT_GT(Quality(), 0.8 - 0.01);
  EXPECT_LT(Quality(), 0.8 - 0.008);
}

TEST_F(QualityWindowTest, MovesUpToo) {
  Review(50, 0.64);
  EXPECT_NEAR(Quality(), 0.8 + 0.005, 1e-9);
}

TEST_F(QualityWindowTest, MovesNoFartherThanItMay) {
  Review(500, -1);
  EXPECT_NEAR(Quality(), 0.8 - QualityWindow::kMostMove, 1e-12);
  QualityWindow narrow(&recorder_, {{.value = 0.9}, {.value = 0.8, .half_width = 0.005}, {}},
                       Expected());
  narrow.Update();
  EXPECT_NEAR(*narrow.Quality(kQuick), 0.795, 1e-12);
}

TEST_F(QualityWindowTest, StaysBelowTheReference) {
  QualityWindow close(&recorder_, {{.value = 0.805}, {.value = 0.8}, {}}, Expected());
  Review(500, 1);
  close.Update();
  EXPECT_EQ(*close.Quality(kQuick), 0.805);
}

// What the traffic was long ago does not count.
TEST_F(QualityWindowTest, ForgetsOldReviews) {
  Review(500, -1);
  for (int i = 0; i < 100; ++i) Review(50, 0.6);
  EXPECT_NEAR(Quality(), 0.8, 1e-4);
}

TEST_F(QualityWindowTest, WithoutExpectationNothingMoves) {
  QualityWindow blind(&recorder_, {{.value = 0.9}, {.value = 0.8}, {}}, {});
  Review(500, -1);
  blind.Update();
  EXPECT_EQ(*blind.Quality(kQuick), 0.8);
}

}  // namespace
}  // namespace tailor
