// SPDX-License-Identifier: Apache-2.0
#include "server/simulator/simulator.h"

#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "server/simulator/traffic.h"

namespace tailor {
namespace {

Profile TestProfile() {
  Profile profile;
  profile.documents = 8;
  profile.tokens = 64;
  profile.cuts = {{.id = "large", .quality = 0.9, .cost = {.fixed = 1e-3, .per_token = 4e-5}},
                  {.id = "middle", .quality = 0.8, .cost = {.fixed = 2e-4, .per_token = 1e-5}},
                  {.id = "small", .quality = 0.6, .cost = {.fixed = 1e-4, .per_token = 2e-6}}};
  profile.capacity_cut = 1;
  return profile;
}

class ListSource final : public RequestSource {
 public:
  explicit ListSource(std::vector<SimulatedRequest> requests) : requests_(std::move(requests)) {}
  absl::StatusOr<bool> Next(SimulatedRequest* request) override {
    if (next_ == requests_.size()) return false;
    *request = requests_[next_++];
    return true;
  }

 private:
  std::vector<SimulatedRequest> requests_;
  size_t next_ = 0;
};

SimulatedRequest Request(double at_ms, double budget_ms, int documents) {
  return {.offset = FromSeconds(at_ms * 1e-3),
          .budget = FromSeconds(budget_ms * 1e-3),
          .priority = 0,
          .lengths = std::vector<int32_t>(static_cast<size_t>(documents), 64)};
}

SimulationResult RunTrace(std::string_view trace, double load, SimulationOptions options,
                          double seconds = 20) {
  const Profile profile = TestProfile();
  options.run = FromSeconds(seconds);
  auto source =
      MakeTraffic(trace, &profile, {.load = load, .run = options.run, .seed = options.seed});
  EXPECT_TRUE(source.ok()) << source.status();
  absl::StatusOr<SimulationResult> result = Simulate(profile, source->get(), options);
  EXPECT_TRUE(result.ok()) << result.status();
  return *std::move(result);
}

void ExpectEveryRequestOnce(const SimulationResult& result) {
  EXPECT_EQ(result.met + result.refused + result.given_up + result.late, result.requests);
  int64_t by_cut = 0;
  for (const CutResult& cut : result.cuts) by_cut += cut.met;
  EXPECT_EQ(by_cut, result.met);
  int64_t met = 0;
  int64_t requests = 0;
  for (const SecondResult& second : result.by_second) {
    met += second.met;
    requests += second.requests;
  }
  EXPECT_EQ(met, result.met);
  EXPECT_EQ(requests, result.requests);
}

// Worked by hand: 8 x 64 tokens take 21.48 ms with "large", 5.32 with "middle".
TEST(Simulate, ThreeRequestsAtTheirOwnTimes) {
  const Profile profile = TestProfile();
  ListSource source({Request(0, 100, 8), Request(1000, 10, 8), Request(2000, 1, 8)});
  SimulationOptions options;
  options.noise = 0;
  const absl::StatusOr<SimulationResult> result = Simulate(profile, &source, options);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->requests, 3);
  EXPECT_EQ(result->met, 2);
  EXPECT_EQ(result->refused, 1);  // 1.1 ms with "small"
  EXPECT_EQ(result->cuts[0].met, 1);
  EXPECT_EQ(result->cuts[1].met, 1);
  EXPECT_DOUBLE_EQ(result->quality, 0.9 + 0.8);
  EXPECT_DOUBLE_EQ(result->effective_quality(), 1.7 / 3);
  EXPECT_EQ(result->engine.batches, 2);
  EXPECT_NEAR(result->engine.busy_seconds, 0.02148 + 0.00532, 1e-6);
  EXPECT_EQ(result->documents_met, 16);
}

// What arrives while a batch runs is queued at its own time, not at the end of the batch.
TEST(Simulate, ArrivalsDuringABatchAreAdmittedThen) {
  const Profile profile = TestProfile();
  // The second has 22 ms: enough behind the first (16 ms left of it) only with "middle".
  ListSource source({Request(0, 50, 8), Request(5, 24, 8)});
  SimulationOptions options;
  options.noise = 0;
  const absl::StatusOr<SimulationResult> result = Simulate(profile, &source, options);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->met, 2);
  EXPECT_EQ(result->cuts[0].met, 1);
  EXPECT_EQ(result->cuts[1].met, 1);
  EXPECT_NEAR(result->latency_p99, 0.0218, 0.0005);
}

TEST(Simulate, OverheadsDelayRequestsAndBatches) {
  Profile profile = TestProfile();
  profile.request_overhead = std::chrono::milliseconds(2);
  profile.batch_overhead = std::chrono::milliseconds(3);
  ListSource source({Request(0, 100, 8), Request(1, 100, 8)});
  SimulationOptions options;
  options.noise = 0;
  options.policy = "fixed:large";
  const absl::StatusOr<SimulationResult> result = Simulate(profile, &source, options);
  ASSERT_TRUE(result.ok()) << result.status();
  // 2 ms, a batch of 21.48 ms, 3 ms, a batch of 21.48 ms.
  EXPECT_NEAR(result->seconds, 0.04796, 1e-6);
}

TEST(Simulate, SameSeedSameResult) {
  const SimulationOptions options{.noise = 0.1, .fault = EngineFault::kSlowPhases, .seed = 5};
  const SimulationResult a = RunTrace("mixed", 0.9, options);
  const SimulationResult b = RunTrace("mixed", 0.9, options);
  ExpectEveryRequestOnce(a);
  EXPECT_EQ(a.requests, b.requests);
  EXPECT_EQ(a.met, b.met);
  EXPECT_EQ(a.late, b.late);
  EXPECT_EQ(a.quality, b.quality);
  EXPECT_EQ(a.seconds, b.seconds);
  EXPECT_EQ(a.engine.busy_seconds, b.engine.busy_seconds);
  EXPECT_EQ(a.latency_p99, b.latency_p99);
}

TEST(Simulate, QualityIsGivenUpBeforeRequests) {
  const SimulationResult calm = RunTrace("poisson", 0.05, {});
  const SimulationResult busy = RunTrace("poisson", 0.9, {});
  const SimulationResult flooded = RunTrace("poisson", 20, {});
  for (const SimulationResult* result : {&calm, &busy, &flooded}) ExpectEveryRequestOnce(*result);
  EXPECT_GT(calm.attainment(), 0.99);
  EXPECT_GT(calm.mean_quality(), 0.89);
  EXPECT_GT(busy.attainment(), 0.97);
  EXPECT_LT(busy.mean_quality(), 0.85);
  // Far beyond what the cheapest can do: refused at once, hardly ever late.
  EXPECT_LT(flooded.attainment(), 0.5);
  EXPECT_GT(flooded.refused, flooded.requests / 2);
  EXPECT_LT(flooded.late, flooded.requests / 50);
}

TEST(Simulate, FixedPolicyUsesItsCutAlone) {
  const SimulationResult result = RunTrace("gamma-4", 0.5, {.policy = "fixed:small"});
  EXPECT_EQ(result.cuts[2].met, result.met);
  EXPECT_GT(result.met, 0);
}

TEST(Simulate, SlowEngineIsNoticedAndForgotten) {
  const SimulationResult result =
      RunTrace("poisson", 0.2, {.noise = 0, .fault = EngineFault::kSlowSpell}, 40);
  const auto quality = [&](size_t from, size_t to) {
    double sum = 0;
    int64_t met = 0;
    for (size_t i = from; i < to; ++i) {
      sum += result.by_second[i].quality;
      met += result.by_second[i].met;
    }
    return sum / static_cast<double>(met);
  };
  const auto attainment = [&](size_t from, size_t to) {
    int64_t met = 0;
    int64_t requests = 0;
    for (size_t i = from; i < to; ++i) {
      met += result.by_second[i].met;
      requests += result.by_second[i].requests;
    }
    return static_cast<double>(met) / static_cast<double>(requests);
  };
  // Slow from 20 to 28 s.
  EXPECT_LT(quality(21, 28), quality(5, 20) - 0.02);
  EXPECT_GT(attainment(21, 28), 0.95);
  EXPECT_NEAR(quality(32, 39), quality(5, 20), 0.02);
}

TEST(Simulate, DecisionsAreTimedOnlyOnRequest) {
  EXPECT_EQ(RunTrace("poisson", 0.5, {}, 2).decision_p99, 0);
  EXPECT_GT(RunTrace("poisson", 0.5, {.time_decisions = true}, 2).decision_p99, 0);
}

TEST(Simulate, UnknownPolicyNamesTheKnown) {
  const Profile profile = TestProfile();
  ListSource source({});
  SimulationOptions options;
  options.policy = "tailord";
  const absl::Status status = Simulate(profile, &source, options).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_NE(status.message().find("did you mean \"tailored\"?"), absl::string_view::npos);
}

}  // namespace
}  // namespace tailor
