// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/refusal.h"

#include <string>

#include "gtest/gtest.h"

namespace tailor {
namespace {

TEST(Refusal, CarriesItsDetails) {
  const absl::Status status = MakeRefusal({.refusal = Refusal::kBudgetInfeasible,
                                           .smallest_feasible_budget = Duration(1234),
                                           .retry_after = std::nullopt},
                                          "why");
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(status.message(), "why");
  const RefusalDetails details = GetRefusal(status);
  EXPECT_EQ(details.refusal, Refusal::kBudgetInfeasible);
  EXPECT_EQ(details.smallest_feasible_budget, Duration(1234));
  EXPECT_FALSE(details.retry_after.has_value());
}

TEST(Refusal, EveryOneSurvivesTheStatusAndAgreesWithItsMetric) {
  for (int i = 0; i <= static_cast<int>(Refusal::kDeviceLost); ++i) {
    const auto refusal = static_cast<Refusal>(i);
    const absl::Status status = MakeRefusal({.refusal = refusal, .retry_after = Duration(i)}, "x");
    EXPECT_FALSE(status.ok());
    EXPECT_EQ(GetRefusal(status).refusal, refusal);
    EXPECT_EQ(GetRefusal(status).retry_after, Duration(i));
    // The code on the wire and the code in the metrics are one.
    EXPECT_EQ(absl::StatusCodeToString(status.code()), std::string(OutcomeCode(OutcomeOf(status))));
    EXPECT_FALSE(RefusalName(refusal).empty());
  }
}

TEST(Refusal, IsInferredFromOtherErrors) {
  EXPECT_EQ(GetRefusal(absl::InvalidArgumentError("")).refusal, Refusal::kInvalidArgument);
  EXPECT_EQ(GetRefusal(absl::ResourceExhaustedError("")).refusal, Refusal::kOverloaded);
  EXPECT_EQ(GetRefusal(absl::UnavailableError("")).refusal, Refusal::kNotReady);
  EXPECT_EQ(GetRefusal(absl::UnknownError("")).refusal, Refusal::kEngine);
  EXPECT_EQ(OutcomeOf(absl::OkStatus()), Outcome::kOk);
}

}  // namespace
}  // namespace tailor
