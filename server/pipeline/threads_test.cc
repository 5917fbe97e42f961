// SPDX-License-Identifier: Apache-2.0
// The pipeline with its threads: what matters here is that ThreadSanitizer and the counts agree.
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

#include "server/pipeline/ranker.h"
#include "server/pipeline/refusal.h"
#include "tests/testing/pipeline_harness.h"

namespace tailor {
namespace {

std::vector<FakeVariant> Family() {
  return {{.id = "large", .quality = 0.9, .cost = {.per_token = 1e-6}},
          {.id = "small", .quality = 0.7, .cost = {.per_token = 1e-7}}};
}

std::unique_ptr<Ranker> MakeRanker(Recorder* recorder, const Clock* clock, int num_workers) {
  RankerOptions options;
  options.tokenizer_threads = 2;
  options.live_quality.share = 0.5;
  std::vector<FakeCost> costs;
  for (const FakeVariant& variant : Family()) costs.push_back(variant.cost);
  std::vector<std::unique_ptr<Backend>> backends;
  backends.reserve(static_cast<size_t>(num_workers));
  for (int i = 0; i < num_workers; ++i) {
    backends.push_back(std::make_unique<FakeBackend>(costs, options.limits, nullptr));
  }
  auto ranker = Ranker::Create(options, MakeWordTokenizer(), MakeServed(Family()),
                               std::move(backends), recorder, clock);
  EXPECT_TRUE(ranker.ok());
  EXPECT_TRUE((*ranker)->WarmUp().ok());
  return *std::move(ranker);
}

class Senders {
 public:
  Senders(Ranker* ranker, const Clock* clock) : ranker_(ranker), clock_(clock) {}

  // Many calls, long and short, a third of them cancelled.
  void Send(int thread) {
    for (int i = 0; i < 200; ++i) {
      const CallOptions options{.documents = i % 20 == 0 ? 300 : 1 + i % 10,
                                .tokens = 10 + i % 60,
                                .budget_ms = 60000,
                                .priority = i % 3,
                                .seed = thread + i};
      auto call = MakeCall(options);
      ++sent_;
      const std::shared_ptr<Ticket> ticket =
          ranker_->Submit(MakeRequest(*call, options, clock_->Now()),
                          [this, call](const absl::StatusOr<Answer>& answer) {
                            // The texts are still alive here, and not needed after it.
                            ++(answer.ok() ? good_ : refused_);
                          });
      if (i % 3 == 0) ticket->Cancel();
      if (i % 50 == 0) ranker_->Report();
    }
  }

  int sent() const { return sent_; }
  int good() const { return good_; }
  int answered() const { return good_ + refused_; }

 private:
  Ranker* const ranker_;
  const Clock* const clock_;
  std::atomic<int> sent_{0};
  std::atomic<int> good_{0};
  std::atomic<int> refused_{0};
};

TEST(RankerThreads, AnswersEveryRequestOnce) {
  const SteadyClock clock;
  Recorder recorder(MakeRecorderOptions(Family()));
  std::unique_ptr<Ranker> ranker = MakeRanker(&recorder, &clock, 2);
  Senders senders(ranker.get(), &clock);
  {
    std::vector<std::jthread> threads;
    threads.reserve(4);
    for (int i = 0; i < 4; ++i) threads.emplace_back([&senders, i] { senders.Send(i); });
  }
  ranker.reset();  // what is still queued is refused
  EXPECT_EQ(senders.answered(), senders.sent());
  EXPECT_GT(senders.good(), 0);
}

TEST(RankerThreads, CanBeDestroyedAtOnce) {
  const SteadyClock clock;
  for (int i = 0; i < 20; ++i) {
    Recorder recorder(MakeRecorderOptions(Family()));
    std::unique_ptr<Ranker> ranker = MakeRanker(&recorder, &clock, 1);
    Senders senders(ranker.get(), &clock);
    senders.Send(i);
    ranker.reset();
    EXPECT_EQ(senders.answered(), senders.sent());
  }
}

}  // namespace
}  // namespace tailor
