// SPDX-License-Identifier: Apache-2.0
// Random traffic on a virtual clock: arrivals, cancels, bursts, slow and failing engines. After
// every event the pipeline must still keep its promises. Seeds are fixed, so a failure repeats.
#include <algorithm>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "server/pipeline/cascade.h"
#include "server/pipeline/ranker.h"
#include "server/pipeline/refusal.h"
#include "tests/testing/pipeline_harness.h"

namespace tailor {
namespace {

std::vector<FakeVariant> Family() {
  return {{.id = "xl", .quality = 0.9, .cost = {.fixed = 3e-4, .per_token = 8e-5}},
          {.id = "l", .quality = 0.8, .cost = {.fixed = 2e-4, .per_token = 2e-5}},
          {.id = "s", .quality = 0.7, .cost = {.fixed = 1e-4, .per_token = 4e-6}},
          {.id = "raw", .quality = std::nullopt, .cost = {.fixed = 1e-4, .per_token = 1e-6}}};
}

// Of all but the last, whose quality is not known.
std::shared_ptr<const CascadeTable> Cascades() {
  const auto identity = [](double quality) {
    return Calibration{.scores = {-1e6, 1e6}, .values = {-1e6, 1e6}, .quality = quality};
  };
  return std::make_shared<const CascadeTable>(
      std::vector<Calibration>{identity(0.9), identity(0.8), identity(0.7), {}},
      std::vector<CascadePair>{{.first = 1, .second = 0, .shares = {0.5}, .qualities = {0.88}},
                               {.first = 2, .second = 0, .shares = {0.5}, .qualities = {0.85}},
                               {.first = 2, .second = 1, .shares = {0.5}, .qualities = {0.78}}});
}

class Simulation {
 public:
  Simulation(uint64_t seed, bool has_cascades)
      : random_(seed),
        has_cascades_(has_cascades),
        harness_(Family(), OptionsOf(has_cascades), /*num_workers=*/2) {
    for (int worker = 0; worker < 2; ++worker) {
      harness_.backend(worker).set_on_run([this] { OnRun(); });
    }
  }

  void Run(int events) {
    for (int i = 0; i < events && !::testing::Test::HasFailure(); ++i) {
      Step();
      CheckInvariants();
    }
    while (RunOne()) CheckInvariants();
    harness_.Destroy();
    for (const Sent& sent : sent_) EXPECT_EQ(sent.call->answers, 1);
  }

  int num_cascades() const {
    return static_cast<int>(std::count_if(sent_.begin(), sent_.end(), [](const Sent& sent) {
      return sent.call->result.ok() && !sent.call->result->variants.empty();
    }));
  }
  int answered() const {
    return static_cast<int>(std::count_if(sent_.begin(), sent_.end(),
                                          [](const Sent& sent) { return sent.call->result.ok(); }));
  }

 private:
  struct Sent {
    std::shared_ptr<Call> call;
    TimePoint deadline;
    int64_t tokens = 0;
    bool is_cancelled = false;
    bool is_dead_before_run = false;  // answered without the engine's help
  };

  static RankerOptions OptionsOf(bool has_cascades) {
    RankerOptions options;
    if (has_cascades) {
      options.cascade = Cascades();
      options.live_quality.share = 0.5;
    }
    options.max_queued_requests = 40;
    options.max_queued_tokens = 20000;
    options.limits = {.max_tokens = 1024, .max_sequences = 32, .max_sequence_tokens = 128};
    return options;
  }

  int Uniform(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }

  void Step() {
    // Cascades are for requests that meet no queue and come seldom, which is rare in this traffic.
    if (has_cascades_ && Uniform(0, 3) == 0) {
      while (RunOne()) CheckInvariants();
      harness_.clock().Advance(std::chrono::seconds(1));
      Send();
    }
    switch (Uniform(0, 9)) {
      case 0:
      case 1:
      case 2:
      case 3:
        Send();
        break;
      case 4:
        for (int i = Uniform(2, 20); i > 0; --i) Send();
        break;
      case 5:
        Cancel();
        break;
      case 6:
        harness_.clock().Advance(FromSeconds(Uniform(0, 20) * 1e-3));
        break;
      case 7:
        Disturb();
        break;
      default:
        RunOne();
    }
  }

  void Send() {
    constexpr double kBudgets[] = {0.5, 2, 5, 20, 50, 200, 1000};
    CallOptions options{.kind = Uniform(0, 3) == 0 ? RequestKind::kScore : RequestKind::kRank,
                        .documents = Uniform(0, 5) == 0 ? Uniform(0, 200) : Uniform(0, 8),
                        .tokens = Uniform(5, 140),
                        .budget_ms = kBudgets[Uniform(0, 6)],
                        .priority = Uniform(0, 2),
                        .variant = Uniform(0, 9) == 0 ? "raw" : "",
                        .min_quality = Uniform(0, 5) == 0 ? 0.75 : 0,
                        .seed = Uniform(0, 99)};
    Sent sent;
    sent.deadline = harness_.clock().Now() + FromSeconds(options.budget_ms * 1e-3);
    sent.tokens = static_cast<int64_t>(options.documents) * std::min(options.tokens, 128);
    sent.call = harness_.Submit(options);
    sent_.push_back(sent);
  }

  void Cancel() {
    if (sent_.empty()) return;
    Sent& sent = sent_[static_cast<size_t>(Uniform(0, static_cast<int>(sent_.size()) - 1))];
    sent.is_cancelled = true;
    if (sent.call->ticket != nullptr) sent.call->ticket->Cancel();
    // Whatever it was doing: the caller has its answer.
    EXPECT_EQ(sent.call->answers, 1);
  }

  void Disturb() {
    FakeBackend& backend = harness_.backend(Uniform(0, 1));
    constexpr double kSlowdowns[] = {1, 1, 1, 2, 5};
    backend.set_slowdown(kSlowdowns[Uniform(0, 4)]);
    // Two in a row at most, so that nothing is quarantined in every run.
    if (Uniform(0, 4) == 0) backend.FailNext(Uniform(0, 2), 1);
  }

  bool RunOne() { return harness_.ranker().RunOne(Uniform(0, 1)); }

  // What is dead when a batch starts must have been answered, so its rows cannot be in it.
  void OnRun() {
    const TimePoint now = harness_.clock().Now();
    for (const Sent& sent : sent_) {
      if (sent.is_cancelled || sent.deadline <= now) {
        EXPECT_EQ(sent.call->answers, 1) << "a dead request reached the engine";
      }
    }
    if (Uniform(0, 9) == 0) Cancel();  // while it runs
    if (has_cascades_ && Uniform(0, 4) == 0) {
      harness_.clock().Advance(FromSeconds(Uniform(0, 20) * 1e-3));
      harness_.ranker().AnswerDue();
    }
  }

  void CheckInvariants() {
    int64_t waiting_requests = 0;
    int64_t most_tokens = 0;
    for (const Sent& sent : sent_) {
      ASSERT_LE(sent.call->answers, 1);
      if (sent.call->answers == 0) {
        ++waiting_requests;
        most_tokens += sent.tokens;
      } else if (sent.call->result.ok()) {
        // Nobody gets a good answer too late.
        ASSERT_LE(sent.call->answered, sent.deadline);
      }
    }
    const StatusReport report = harness_.ranker().Report();
    // No batch is under way between events: all that is unanswered is in the queue, or between the
    // passes of a cascade.
    if (has_cascades_) {
      ASSERT_LE(report.queued_requests, waiting_requests);
    } else {
      ASSERT_EQ(report.queued_requests, waiting_requests);
    }
    ASSERT_LE(report.queued_requests, 40);
    ASSERT_LE(report.queued_tokens, most_tokens);
    ASSERT_GE(report.queued_tokens, report.queued_requests);
    double gauge_requests = 0;
    double gauge_tokens = 0;
    for (int priority = 0; priority < kNumPriorities; ++priority) {
      const int indices[] = {priority};
      gauge_requests += harness_.recorder().Value(Metric::kQueueRequests, indices);
      gauge_tokens += harness_.recorder().Value(Metric::kQueueTokens, indices);
    }
    ASSERT_EQ(gauge_requests, report.queued_requests);
    ASSERT_EQ(gauge_tokens, static_cast<double>(report.queued_tokens));
  }

  std::mt19937_64 random_;
  const bool has_cascades_;
  std::vector<Sent> sent_;
  PipelineHarness harness_;
};

class SimulationTest : public ::testing::TestWithParam<int> {};

TEST_P(SimulationTest, KeepsItsPromises) {
  Simulation simulation(static_cast<uint64_t>(GetParam()), /*has_cascades=*/false);
  simulation.Run(1500);
  // A simulation in which nothing is answered proves nothing.
  EXPECT_GT(simulation.answered(), 200);
}

TEST_P(SimulationTest, KeepsItsPromisesWithCascadesAndReviews) {
  Simulation simulation(static_cast<uint64_t>(GetParam()), /*has_cascades=*/true);
  simulation.Run(500);
  EXPECT_GT(simulation.answered(), 100);
  EXPECT_GT(simulation.num_cascades(), 0);
}

INSTANTIATE_TEST_SUITE_P(Seeds, SimulationTest, ::testing::Range(1, 21));

}  // namespace
}  // namespace tailor
