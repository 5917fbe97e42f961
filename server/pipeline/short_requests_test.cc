// SPDX-License-Identifier: Apache-2.0
// Requests that the thread that submits them runs itself: when it may, and that nobody is forgotten
// or served by two threads when others come meanwhile.
#include <atomic>
#include <future>
#include <latch>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "server/pipeline/batch_queue.h"
#include "server/pipeline/ranker.h"
#include "server/pipeline/refusal.h"
#include "tests/testing/pipeline_harness.h"

namespace tailor {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr double kShort = 50e-6;
constexpr double kLong = 10e-3;

// The queue alone, with two variants of one cost each.
class ClaimTest : public ::testing::Test {
 protected:
  explicit ClaimTest(double seconds = kShort, VariantSet one_thread = AllVariants())
      : variants_({{.quality = 0.9, .cost = {.fixed = seconds}},
                   {.quality = 0.7, .cost = {.fixed = seconds / 10}}}),
        queue_({.limits = {}, .num_outputs = {1, 1}, .one_thread = one_thread}, selector_.get(),
               &recorder_) {}

  PendingPtr MakePending(double budget_ms = 1000) {
    auto pending = std::make_shared<PendingRequest>();
    pending->encoded = EncodeLengths({20});
    pending->request.texts.assign(1, TextPair());
    pending->request.arrival = clock_.Now();
    pending->request.deadline = clock_.Now() + FromSeconds(budget_ms / 1e3);
    pending->admissible = AllVariants();
    pending->any_quality = AllVariants();
    return pending;
  }
  void Reserve(const PendingPtr& pending) {
    ASSERT_TRUE(queue_.Reserve(pending.get(), pending->encoded.work, clock_.Now(), accept_).ok());
  }
  PendingPtr Push(double budget_ms = 1000) {
    PendingPtr pending = MakePending(budget_ms);
    Reserve(pending);
    PushedOut pushed_out;
    EXPECT_TRUE(queue_.Push(pending, 1, variants_, clock_.Now(), accept_, &pushed_out).ok());
    return pending;
  }
  std::optional<int> Claim() { return queue_.ClaimOrWake(variants_, clock_.Now()); }

  const BatchQueue::Judge accept_ = [](const QueueLoad&) { return absl::OkStatus(); };
  const std::vector<FakeVariant> family_ = {{.id = "large", .quality = 0.9, .cost = {}},
                                            {.id = "small", .quality = 0.7, .cost = {}}};
  ManualClock clock_;
  std::vector<VariantState> variants_;
  Recorder recorder_{MakeRecorderOptions(family_)};
  const std::vector<std::string> ids_ = {"large", "small"};
  std::unique_ptr<Selector> selector_ = MakeSelector("tailored", ids_).value();
  BatchQueue queue_;
};

TEST_F(ClaimTest, GivesAnIdleWorkerToWhoSubmitsAShortRequest) {
  Push();
  ASSERT_EQ(Claim(), 0);
  const CutBatch batch = queue_.Cut(0, variants_, clock_.Now());
  EXPECT_THAT(batch.taken, SizeIs(1));
  EXPECT_THAT(queue_.Complete(0, batch, true, Duration::zero(), clock_.Now()), SizeIs(1));
  queue_.Release(0);
  clock_.Advance(std::chrono::seconds(1));
  Push();
  EXPECT_EQ(Claim(), 0);
}

TEST_F(ClaimTest, LeavesItToTheWorkersThreadWhenMoreWait) {
  Push();
  Push();
  EXPECT_EQ(Claim(), std::nullopt);
}

TEST_F(ClaimTest, LeavesItToTheWorkersThreadWhenMoreAreTokenised) {
  Reserve(MakePending());
  Push();
  EXPECT_EQ(Claim(), std::nullopt);
}

TEST_F(ClaimTest, GivesAWorkerToOneThreadAtATime) {
  Push();
  ASSERT_EQ(Claim(), 0);
  const CutBatch batch = queue_.Cut(0, variants_, clock_.Now());
  Push();
  EXPECT_EQ(Claim(), std::nullopt);
  queue_.Complete(0, batch, true, Duration::zero(), clock_.Now());
  queue_.Release(0);
  EXPECT_TRUE(queue_.WaitForWork(0, clock_));
  EXPECT_EQ(Claim(), std::nullopt) << "the worker's own thread holds it";
}

TEST_F(ClaimTest, WhatCameBetweenIsForTheWorkersThread) {
  Push();
  ASSERT_EQ(Claim(), 0);
  Push();
  EXPECT_THAT(queue_.Cut(0, variants_, clock_.Now()).taken, IsEmpty());
  queue_.Release(0);
  ASSERT_TRUE(queue_.WaitForWork(0, clock_));
  EXPECT_THAT(queue_.Cut(0, variants_, clock_.Now()).taken, SizeIs(2));
}

TEST_F(ClaimTest, ShortIsLessWhenRequestsComeQuickly) {
  for (int i = 0; i < 200; ++i) {
    clock_.Advance(std::chrono::microseconds(400));
    PendingPtr pending = Push();
    if (i < 199) {
      ASSERT_TRUE(queue_.Cancel(pending));
    }
  }
  EXPECT_EQ(Claim(), std::nullopt) << "50 us of every 400";
}

TEST_F(ClaimTest, NothingIsGivenWhenTheQueueIsStopped) {
  Push();
  queue_.Stop(absl::UnavailableError("stopped"));
  EXPECT_EQ(Claim(), std::nullopt);
}

struct LongClaimTest : ClaimTest {
  LongClaimTest() : ClaimTest(kLong) {}
};

TEST_F(LongClaimTest, TheSlowestVariantInTimeMustBeShort) {
  Push();
  EXPECT_EQ(Claim(), std::nullopt);
}

struct QuickClaimTest : ClaimTest {
  QuickClaimTest() : ClaimTest(10 * kShort) {}
};

TEST_F(QuickClaimTest, AVariantThatCannotBeInTimeDoesNotCount) {
  Push(0.4);  // ms; the better variant takes 0.5
  EXPECT_EQ(Claim(), 0);
}

struct TeamClaimTest : ClaimTest {
  TeamClaimTest() : ClaimTest(kShort, VariantSet()) {}
};

TEST_F(TeamClaimTest, AnEngineOfSeveralThreadsBelongsToItsOwn) {
  Push();
  EXPECT_EQ(Claim(), std::nullopt);
}

// The pipeline with its threads, on a clock that only its engine moves.
class ShortRequestsTest : public ::testing::Test {
 protected:
  struct Outcome {
    absl::StatusOr<Answer> answer = absl::UnknownError("not answered");
    std::thread::id thread;
  };

  void Start(double seconds) {
    const std::vector<FakeVariant> family = {
        {.id = "small", .quality = 0.7, .cost = {.fixed = seconds}}};
    recorder_ = std::make_unique<Recorder>(MakeRecorderOptions(family));
    auto backend = std::make_unique<FakeBackend>(std::vector<FakeCost>{family[0].cost},
                                                 PipelineHarness::Options().limits, &clock_);
    backend_ = backend.get();
    std::vector<std::unique_ptr<Backend>> backends;
    backends.push_back(std::move(backend));
    auto ranker = Ranker::Create(PipelineHarness::Options(), MakeWordTokenizer(),
                                 MakeServed(family), std::move(backends), recorder_.get(), &clock_);
    ASSERT_TRUE(ranker.ok());
    ranker_ = *std::move(ranker);
    ASSERT_TRUE(ranker_->WarmUp().ok());
  }

  std::future<Outcome> Submit() {
    const CallOptions options;
    auto call = MakeCall(options);
    auto promise = std::make_shared<std::promise<Outcome>>();
    ranker_->Submit(MakeRequest(*call, options, clock_.Now()),
                    [call, promise](absl::StatusOr<Answer> answer) {
                      promise->set_value({std::move(answer), std::this_thread::get_id()});
                    });
    return promise->get_future();
  }

  ManualClock clock_;
  std::unique_ptr<Recorder> recorder_;
  FakeBackend* backend_ = nullptr;  // owned by the ranker
  std::unique_ptr<Ranker> ranker_;
};

TEST_F(ShortRequestsTest, RunOnTheThreadThatSubmits) {
  Start(kShort);
  for (int i = 0; i < 3; ++i) {
    clock_.Advance(std::chrono::seconds(1));
    Outcome outcome = Submit().get();
    EXPECT_TRUE(outcome.answer.ok()) << outcome.answer.status();
    EXPECT_EQ(outcome.thread, std::this_thread::get_id());
  }
}

TEST_F(ShortRequestsTest, OneThatLosesTheDeviceIsRefusedOnItsThread) {
  Start(kShort);
  clock_.Advance(std::chrono::seconds(1));
  backend_->LoseDevice();
  const Outcome lost = Submit().get();
  EXPECT_EQ(GetRefusal(lost.answer.status()).refusal, Refusal::kDeviceLost);
  EXPECT_EQ(lost.thread, std::this_thread::get_id());
  EXPECT_EQ(GetRefusal(Submit().get().answer.status()).refusal, Refusal::kDeviceLost);
  EXPECT_EQ(backend_->num_lost_runs(), 1);
}

TEST_F(ShortRequestsTest, LongOnesLoseItOnTheWorkersThread) {
  Start(kLong);
  backend_->LoseDevice();
  const Outcome lost = Submit().get();
  EXPECT_EQ(GetRefusal(lost.answer.status()).refusal, Refusal::kDeviceLost);
  EXPECT_NE(lost.thread, std::this_thread::get_id());
  EXPECT_EQ(GetRefusal(Submit().get().answer.status()).refusal, Refusal::kDeviceLost);
  EXPECT_EQ(backend_->num_lost_runs(), 1);
}

TEST_F(ShortRequestsTest, LongOnesRunOnTheWorkersThread) {
  Start(kLong);
  Outcome outcome = Submit().get();
  EXPECT_TRUE(outcome.answer.ok()) << outcome.answer.status();
  EXPECT_NE(outcome.thread, std::this_thread::get_id());
}

TEST_F(ShortRequestsTest, WhoComesMeanwhileIsServedByTheWorker) {
  Start(kShort);
  std::future<Outcome> second;
  std::atomic<bool> is_first = true;
  backend_->set_on_run([&] {
    if (is_first.exchange(false)) second = Submit();
  });
  const Outcome first = Submit().get();
  EXPECT_TRUE(first.answer.ok()) << first.answer.status();
  EXPECT_EQ(first.thread, std::this_thread::get_id());
  const Outcome after = second.get();
  EXPECT_TRUE(after.answer.ok()) << after.answer.status();
  EXPECT_NE(after.thread, std::this_thread::get_id());
}

TEST_F(ShortRequestsTest, AnAnswerMaySubmitTheNext) {
  Start(kShort);
  const CallOptions options;
  auto call = MakeCall(options);
  std::promise<std::future<Outcome>> next;
  ranker_->Submit(MakeRequest(*call, options, clock_.Now()),
                  [&](const absl::StatusOr<Answer>&) { next.set_value(Submit()); });
  EXPECT_TRUE(next.get_future().get().get().answer.ok());
}

TEST_F(ShortRequestsTest, OneThatRunsIsAnsweredWhenThePipelineEnds) {
  Start(kShort);
  std::latch running(1);
  std::latch go_on(1);
  backend_->set_on_run([&] {
    running.count_down();
    go_on.wait();
  });
  std::future<Outcome> first;
  std::jthread submitter([&] { first = Submit(); });
  running.wait();
  std::future<Outcome> queued = Submit();
  std::jthread destroyer([&] { ranker_.reset(); });
  EXPECT_EQ(GetRefusal(queued.get().answer.status()).refusal, Refusal::kNotReady);
  go_on.count_down();
  submitter.join();
  destroyer.join();
  EXPECT_TRUE(first.get().answer.ok());
}

}  // namespace
}  // namespace tailor
