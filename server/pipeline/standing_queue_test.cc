// SPDX-License-Identifier: Apache-2.0
// Queue and admission on a virtual clock, with an engine that is slower than predicted for good:
// nothing corrects the costs that the test hands in.
#include <algorithm>
#include <array>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "server/pipeline/admission.h"
#include "server/pipeline/backstop.h"
#include "server/pipeline/batch_queue.h"
#include "server/pipeline/refusal.h"
#include "tests/testing/pipeline_harness.h"

namespace tailor {
namespace {

constexpr Duration kBudget = std::chrono::milliseconds(50);
constexpr int kDocuments = 10;
constexpr int kTokens = 16;

struct Believed {
  double quality = 0;
  CostCoefficients cost;
};
// 1.6 ms a request.
const std::vector<Believed> kOneVariant = {{0.8, {.per_token = 1e-5}}};
// The cheapest takes 0.9 ms a request alone.
const std::vector<Believed> kThreeVariants = {{0.9, {.fixed = 2e-4, .per_token = 6e-5}},
                                              {0.8, {.fixed = 2e-4, .per_token = 2e-5}},
                                              {0.7, {.fixed = 1e-4, .per_token = 5e-6}}};

struct Outcomes {
  int sent = 0;
  int let_in = 0;
  int met = 0;
  double shortest = 1;  // from arrival to the end, of who was let in; as part of the budget
};

std::vector<FakeVariant> Named(const std::vector<Believed>& variants) {
  std::vector<FakeVariant> named;
  named.reserve(variants.size());
  for (const Believed& variant : variants) {
    named.push_back({.id = std::to_string(named.size()), .quality = variant.quality, .cost = {}});
  }
  return named;
}

class Drive {
 public:
  Drive(const std::vector<Believed>& variants, bool has_backstop, double slowness)
      : slowness_(slowness),
        served_(MakeServed(Named(variants))),
        recorder_(MakeRecorderOptions(Named(variants))),
        admission_(PipelineHarness::Options(), CurrentLimits(), served_) {
    std::vector<std::string> ids;
    for (const Believed& variant : variants) {
      ids.push_back(std::to_string(ids.size()));
      variants_.push_back({.quality = variant.quality, .cost = variant.cost});
    }
    selector_ = MakeSelector("tailored", ids).value();
    queue_ = std::make_unique<BatchQueue>(
        QueueOptions{.limits = {},
                     .num_outputs = std::vector<int>(variants.size(), 1),
                     .has_backstop = has_backstop},
        selector_.get(), &recorder_);
  }

  // Arrivals for that time, `gap_ms` apart: regular, or random in bursts of `burst` at once.
  void Run(double seconds, double gap_ms, int burst = 1) {
    gap_ms_ = gap_ms;
    burst_ = burst;
    next_ = clock_.Now();
    const TimePoint end = clock_.Now() + FromSeconds(seconds);
    while (clock_.Now() < end) Step();
  }

  // What became of the requests since the last call.
  std::array<Outcomes, kNumPriorities> Take() { return std::exchange(outcomes_, {}); }

  double Factor() const { return recorder_.Value(Metric::kBackstopFactor, {}); }
  double highest_factor() const { return highest_factor_; }
  const absl::Status& last_refusal() const { return last_refusal_; }
  void set_slowness(double slowness) { slowness_ = slowness; }
  void MixPriorities() { num_priorities_ = kNumPriorities; }

 private:
  void Step() {
    PassTime(clock_.Now());
    const CutBatch batch = queue_->Cut(0, variants_, clock_.Now());
    highest_factor_ = std::max(highest_factor_, Factor());
    for (const PendingPtr& pending : batch.expired) End(*pending, false);
    for (const PendingPtr& pending : batch.hopeless) End(*pending, false);
    if (batch.selection.variant < 0) return PassTime(next_);
    const CostCoefficients& cost = variants_[static_cast<size_t>(batch.selection.variant)].cost;
    const Duration taken = FromSeconds(slowness_ * ModeledSeconds(cost, batch.work));
    PassTime(clock_.Now() + taken);
    for (const PendingPtr& pending : queue_->Complete(0, batch, /*ok=*/true, taken, clock_.Now())) {
      End(*pending, pending->request.deadline >= clock_.Now());
    }
  }

  // Moves the clock, and submits what arrives meanwhile.
  void PassTime(TimePoint end) {
    while (next_ <= end) {
      clock_.Advance(std::max(Duration::zero(), next_ - clock_.Now()));
      for (int i = 0; i < burst_; ++i) Submit();
      const double gap_ms = burst_ == 1 ? gap_ms_ : burst_ * gap_ms_ * random_gap_(random_);
      next_ += FromSeconds(gap_ms * 1e-3);
    }
    clock_.Advance(std::max(Duration::zero(), end - clock_.Now()));
  }

  void Submit() {
    const TimePoint now = clock_.Now();
    auto pending = std::make_shared<PendingRequest>();
    pending->request.arrival = now;
    pending->request.deadline = now + kBudget;
    pending->request.priority = static_cast<int>(num_submitted_++) % num_priorities_;
    pending->encoded = EncodeLengths(std::vector<int32_t>(kDocuments, kTokens));
    pending->admissible = AllVariants();
    const Demand demand{.arrival = now,
                        .deadline = now + kBudget,
                        .priority = pending->request.priority,
                        .admissible = AllVariants(),
                        .any_quality = AllVariants(),
                        .work = pending->encoded.work};
    absl::Status status =
        queue_->Reserve(pending.get(), demand.work, now, [&](const QueueLoad& load) {
          return admission_.JudgeArrival(demand, load, variants_, now);
        });
    if (status.ok()) {
      const Verdict idle = admission_.JudgeIdle(demand, variants_);
      PushedOut pushed_out;
      status = queue_->Push(
          pending, idle.cheapest, variants_, now,
          [&](const QueueLoad& load) {
            return admission_.JudgeLoad(demand, idle.cheapest, load, variants_, now);
          },
          &pushed_out);
      for (const PendingPtr& out : pushed_out.requests) {
        --outcomes_[static_cast<size_t>(out->request.priority)].let_in;
      }
    }
    Outcomes& sum = outcomes_[static_cast<size_t>(demand.priority)];
    ++sum.sent;
    if (status.ok()) {
      ++sum.let_in;
    } else {
      last_refusal_ = status;
    }
  }

  void End(const PendingRequest& pending, bool is_met) {
    Outcomes& sum = outcomes_[static_cast<size_t>(pending.request.priority)];
    if (is_met) ++sum.met;
    const Duration taken = clock_.Now() - pending.request.arrival;
    sum.shortest = std::min(sum.shortest, ToSeconds(taken) / ToSeconds(kBudget));
  }

  double slowness_;
  ManualClock clock_;
  std::vector<ServedVariant> served_;
  Recorder recorder_;
  Admission admission_;
  std::vector<VariantState> variants_;
  std::unique_ptr<Selector> selector_;
  std::unique_ptr<BatchQueue> queue_;
  double gap_ms_ = 1;
  int burst_ = 1;
  TimePoint next_;
  std::mt19937_64 random_{7};
  std::exponential_distribution<double> random_gap_{1};
  int64_t num_submitted_ = 0;
  int num_priorities_ = 1;
  std::array<Outcomes, kNumPriorities> outcomes_;
  double highest_factor_ = 1;
  absl::Status last_refusal_;
};

// What becomes of one request every 3 ms once four seconds of them have been answered.
Outcomes Settled(Drive* drive) {
  drive->Run(4, 3);
  drive->Take();
  drive->Run(4, 3);
  return drive->Take()[0];
}

// An engine three times slower than predicted: 4.8 ms a request, one every 3 ms. Admission sees
// half a load and lets all in.
TEST(StandingQueue, WithoutTheRuleNearlyAllAreLate) {
  Drive drive(kOneVariant, /*has_backstop=*/false, /*slowness=*/3);
  const Outcomes seen = Settled(&drive);
  EXPECT_GT(seen.let_in, 0.95 * seen.sent);
  EXPECT_LT(seen.met, 0.1 * seen.sent);
  EXPECT_GT(seen.shortest, 0.8);
  EXPECT_EQ(drive.highest_factor(), 1);
}

TEST(StandingQueue, WithItTheWaitIsBoundedAndTheEngineServes) {
  Drive drive(kOneVariant, /*has_backstop=*/true, /*slowness=*/3);
  const Outcomes seen = Settled(&drive);
  // The engine can serve 3 / 4.8 of them.
  EXPECT_GT(seen.met, 0.5 * seen.sent);
  EXPECT_GT(seen.met, 0.9 * seen.let_in);
  EXPECT_LT(seen.shortest, 0.8);
  EXPECT_GT(drive.Factor(), 1);
  const RefusalDetails refusal = GetRefusal(drive.last_refusal());
  EXPECT_EQ(refusal.refusal, Refusal::kOverloaded);
  ASSERT_TRUE(refusal.retry_after.has_value());
  EXPECT_GT(*refusal.retry_after, Duration::zero());
  EXPECT_NE(drive.last_refusal().message().find("the queue stands"), absl::string_view::npos);
}

// Cheaper variants come before refusals: what the policy would take is predicted three times too
// low as well.
TEST(StandingQueue, TheRuleDegradesBeforeItRefuses) {
  std::array<Outcomes, 2> seen;
  for (const bool has_backstop : {false, true}) {
    Drive drive(kThreeVariants, has_backstop, /*slowness=*/3);
    drive.Run(4, 5);
    drive.Take();
    drive.Run(8, 5);
    seen[has_backstop ? 1 : 0] = drive.Take()[0];
  }
  EXPECT_LT(seen[0].met, 0.1 * seen[0].sent);
  EXPECT_EQ(seen[1].let_in, seen[1].sent);
  EXPECT_GT(seen[1].met, 0.85 * seen[1].sent);
}

TEST(StandingQueue, TheMoreImportantAreServed) {
  Drive drive(kOneVariant, /*has_backstop=*/true, /*slowness=*/3);
  drive.MixPriorities();
  drive.Run(4, 3);
  drive.Take();
  drive.Run(4, 3);
  const auto seen = drive.Take();
  EXPECT_LT(seen[0].let_in, 0.5 * seen[0].sent);
  EXPECT_GT(seen[2].met, 0.8 * seen[2].sent);
}

TEST(StandingQueue, TheRuleLetsGoWhenPredictionsHoldAgain) {
  Drive drive(kOneVariant, /*has_backstop=*/true, /*slowness=*/3);
  drive.Run(4, 3);
  ASSERT_GT(drive.Factor(), 1);
  drive.set_slowness(1);
  drive.Run(3, 3);
  EXPECT_EQ(drive.Factor(), 1);
  drive.Take();
  drive.Run(1, 3);
  const Outcomes seen = drive.Take()[0];
  EXPECT_EQ(seen.let_in, seen.sent);
  EXPECT_GT(seen.met, 0.98 * seen.sent);
}

TEST(StandingQueue, TheRuleNeverActsBelowCapacity) {
  for (const double load : {0.3, 0.6, 0.9}) {
    for (const int burst : {1, 5, 20}) {
      Drive drive(kThreeVariants, /*has_backstop=*/true, /*slowness=*/1);
      drive.Run(20, 0.9 / load, burst);
      EXPECT_EQ(drive.highest_factor(), 1) << "load " << load << ", bursts of " << burst;
    }
  }
}

// Right predictions keep their promises at any load: admission alone is enough.
TEST(StandingQueue, NorUnderOverloadWhilePredictionsHold) {
  Drive drive(kThreeVariants, /*has_backstop=*/true, /*slowness=*/1);
  drive.MixPriorities();
  drive.Run(10, 0.2, 4);
  EXPECT_EQ(drive.highest_factor(), 1);
}

}  // namespace
}  // namespace tailor
