// SPDX-License-Identifier: Apache-2.0
// What overload must not do: the more comes, the less is answered; answers come late; the server
// stays ill after the load has gone.
#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "server/simulator/simulator.h"
#include "server/simulator/traffic.h"

namespace tailor {
namespace {

constexpr int kOverloadSeconds = 20;
constexpr int kAfterSeconds = 15;

// DynaBERT's three cheapest cuts and one in the middle; the cheapest serves 368 requests a second.
Profile TestProfile() {
  Profile profile;
  profile.documents = 1;
  profile.tokens = 128;
  profile.cuts = {{.id = "w50-d75", .quality = 0.842, .cost = {.per_token = 63.7e-6}},
                  {.id = "w25-d100", .quality = 0.839, .cost = {.per_token = 42.47e-6}},
                  {.id = "w25-d75", .quality = 0.834, .cost = {.per_token = 31.85e-6}},
                  {.id = "w25-d50", .quality = 0.82, .cost = {.per_token = 21.23e-6}}};
  profile.capacity_cut = 3;
  return profile;
}

// One load, then another.
class StepSource final : public RequestSource {
 public:
  StepSource(std::unique_ptr<RequestSource> before, std::unique_ptr<RequestSource> after,
             Duration step)
      : before_(std::move(before)), after_(std::move(after)), step_(step) {}

  absl::StatusOr<bool> Next(SimulatedRequest* request) override {
    if (!is_after_) {
      const absl::StatusOr<bool> has = before_->Next(request);
      if (!has.ok() || *has) return has;
      is_after_ = true;
    }
    const absl::StatusOr<bool> has = after_->Next(request);
    if (has.ok() && *has) request->offset += step_;
    return has;
  }

 private:
  std::unique_ptr<RequestSource> before_;
  std::unique_ptr<RequestSource> after_;
  const Duration step_;
  bool is_after_ = false;
};

std::unique_ptr<RequestSource> Poisson(const Profile& profile, double load, int seconds) {
  auto source = MakeTraffic("poisson", &profile,
                            {.load = load, .run = std::chrono::seconds(seconds), .seed = 1});
  EXPECT_TRUE(source.ok()) << source.status();
  return *std::move(source);
}

// `load` times what the cheapest can serve, then a third of it.
SimulationResult Overloaded(const Profile& profile, double load, const std::string& policy,
                            bool has_backstop = true) {
  StepSource source(Poisson(profile, load, kOverloadSeconds), Poisson(profile, 0.33, kAfterSeconds),
                    std::chrono::seconds(kOverloadSeconds));
  const absl::StatusOr<SimulationResult> result =
      Simulate(profile, &source,
               {.policy = policy, .run = std::chrono::seconds(1), .has_backstop = has_backstop});
  EXPECT_TRUE(result.ok()) << result.status();
  return *result;
}

// Answers in time a second while the load lasts, its first second apart.
double Goodput(const SimulationResult& result) {
  int64_t met = 0;
  for (size_t i = 1; i < kOverloadSeconds; ++i) met += result.by_second[i].met;
  return static_cast<double>(met) / (kOverloadSeconds - 1);
}

// Of what was let in, what was not answered in time.
double BrokenPromises(const SimulationResult& result) {
  const int64_t let_in = result.requests - result.refused;
  return static_cast<double>(let_in - result.met) / static_cast<double>(let_in);
}

// Seconds after the load has gone until everything is answered, at the quality of a calm server.
int Recovery(const SimulationResult& result) {
  int last_bad = kOverloadSeconds - 1;
  for (int i = kOverloadSeconds; i < static_cast<int>(result.by_second.size()); ++i) {
    const SecondResult& second = result.by_second[static_cast<size_t>(i)];
    const bool is_good = second.met * 100 >= second.requests * 99 &&
                         second.quality >= 0.835 * static_cast<double>(second.met);
    if (!is_good) last_bad = i;
  }
  return last_bad + 1 - kOverloadSeconds;
}

void ExpectGraceful(const Profile& profile, double most_broken) {
  double most = 0;
  for (const double load : {0.9, 2.0, 5.0, 10.0}) {
    const SimulationResult result = Overloaded(profile, load, "tailored");
    const double goodput = Goodput(result);
    most = std::max(most, goodput);
    EXPECT_GE(goodput, 0.9 * most) << load;
    EXPECT_LE(BrokenPromises(result), most_broken) << load;
    EXPECT_LE(Recovery(result), 10) << load;
  }
}

TEST(Overload, AnswersAsManyAsAtItsBest) { ExpectGraceful(TestProfile(), 0.01); }

// Much of the time goes where no engine is measured: what was let in is late, until the backstop
// lets in less.
TEST(Overload, TimeLostBetweenBatchesIsNoticed) {
  Profile profile = TestProfile();
  profile.batch_overhead = std::chrono::milliseconds(5);
  const SimulationResult with = Overloaded(profile, 5, "tailored");
  const SimulationResult without = Overloaded(profile, 5, "tailored", /*has_backstop=*/false);
  EXPECT_LT(BrokenPromises(with), 0.5 * BrokenPromises(without));
  EXPECT_GT(Goodput(with), Goodput(without));
}

// The cheapest can just serve all that comes: nothing better is worth a refusal.
TEST(Overload, QualityIsGivenUpBeforeAnyoneIsRefused) {
  const Profile profile = TestProfile();
  const SimulationResult tailored = Overloaded(profile, 1, "tailored");
  const SimulationResult cheapest = Overloaded(profile, 1, "fixed:w25-d50");
  EXPECT_GE(Goodput(tailored), 0.99 * Goodput(cheapest));
  EXPECT_GE(tailored.effective_quality(), cheapest.effective_quality());
}

}  // namespace
}  // namespace tailor
