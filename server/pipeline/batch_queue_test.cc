// SPDX-License-Identifier: Apache-2.0
// What the pipeline without its threads cannot show: a queue that is stopped while a batch runs,
// and the wait of the deadline thread.
#include "server/pipeline/batch_queue.h"

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "server/pipeline/refusal.h"
#include "tests/testing/pipeline_harness.h"

namespace tailor {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A request of twenty documents whose cascade has two passes: 10 ms, then 5 ms a document.
struct BatchQueueTest : ::testing::Test {
  BatchQueueTest() {
    pending->encoded = EncodeLengths(std::vector<int32_t>(20, 50));
    pending->request.texts.assign(20, TextPair());
    pending->request.arrival = clock.Now();
    pending->request.deadline = clock.Now() + std::chrono::milliseconds(70);
    pending->admissible = AllVariants();
    pending->any_quality = AllVariants();
    const auto accept = [](const QueueLoad&) { return absl::OkStatus(); };
    EXPECT_TRUE(queue.Reserve(pending.get(), pending->encoded.work, clock.Now(), accept).ok());
    PushedOut pushed_out;
    EXPECT_TRUE(queue.Push(pending, 1, variants, clock.Now(), accept, &pushed_out).ok());
  }

  std::vector<PendingPtr> Complete(const CutBatch& batch) {
    return queue.Complete(0, batch, /*ok=*/true, Duration::zero(), clock.Now());
  }
  // The last batch of the first pass, which still runs.
  CutBatch CutFirstPass() {
    CutBatch batch = queue.Cut(0, variants, clock.Now());
    while (pending->rows_taken < 20) {
      EXPECT_THAT(Complete(batch), IsEmpty());
      batch = queue.Cut(0, variants, clock.Now());
    }
    return batch;
  }

  ManualClock clock;
  const std::vector<FakeVariant> family = {{.id = "large", .quality = 0.9, .cost = {}},
                                           {.id = "small", .quality = 0.7, .cost = {}}};
  const std::vector<VariantState> variants = {{.quality = 0.9, .cost = {.per_token = 1e-4}},
                                              {.quality = 0.7, .cost = {.per_token = 1e-5}}};
  const CascadeTable table{{{.scores = {0, 1}, .values = {0, 1}, .quality = 0.9},
                            {.scores = {0, 1}, .values = {0, 1}, .quality = 0.7}},
                           {{.first = 1, .second = 0, .shares = {0.5}, .qualities = {0.86}}}};
  Recorder recorder{MakeRecorderOptions(family)};
  const std::vector<std::string> ids = {"large", "small"};
  std::unique_ptr<Selector> selector = MakeSelector("tailored", ids).value();
  BatchQueue queue{
      {.limits = {}, .num_outputs = {1, 1}, .cascade = &table}, selector.get(), &recorder};
  const PendingPtr pending = std::make_shared<PendingRequest>();
};

TEST_F(BatchQueueTest, StoppedInTheFirstPassOfACascade) {
  const CutBatch batch = CutFirstPass();
  ASSERT_EQ(pending->refinement.variant, 0);
  EXPECT_THAT(queue.Stop(absl::UnavailableError("stopped")), IsEmpty());
  EXPECT_THAT(Complete(batch), ElementsAre(pending));
}

TEST_F(BatchQueueTest, StoppedInTheSecondPassOfACascade) {
  EXPECT_THAT(Complete(CutFirstPass()), IsEmpty());
  const CutBatch batch = queue.Cut(0, variants, clock.Now());
  ASSERT_TRUE(batch.is_second_pass);
  EXPECT_THAT(queue.Stop(absl::UnavailableError("stopped")), IsEmpty());
  EXPECT_THAT(Complete(batch), ElementsAre(pending));
}

TEST_F(BatchQueueTest, StoppedBetweenThePassesOfACascade) {
  EXPECT_THAT(Complete(CutFirstPass()), IsEmpty());
  EXPECT_THAT(queue.Stop(absl::UnavailableError("stopped")), ElementsAre(pending));
}

TEST_F(BatchQueueTest, TheDeadlineThreadWakesWhenASecondPassIsDue) {
  std::vector<PendingPtr> due;
  std::jthread waiting([&] {
    if (queue.WaitForDue(clock)) due = queue.TakeDue(clock.Now());
  });
  EXPECT_THAT(Complete(CutFirstPass()), IsEmpty());
  const CutBatch batch = queue.Cut(0, variants, clock.Now());
  ASSERT_TRUE(batch.is_second_pass);
  clock.Advance(std::chrono::milliseconds(70));
  waiting.join();
  EXPECT_THAT(due, ElementsAre(pending));
  EXPECT_THAT(Complete(batch), IsEmpty());
  EXPECT_THAT(queue.TakeDue(clock.Now()), IsEmpty());
}

TEST_F(BatchQueueTest, WhoComesAfterTheEndIsRefusedWithItsFirstReason) {
  const auto accept = [](const QueueLoad&) { return absl::OkStatus(); };
  pending->encoded = EncodeLengths({20});
  pending->request.deadline = clock.Now() + std::chrono::seconds(1);
  ASSERT_TRUE(queue.Reserve(pending.get(), pending->encoded.work, clock.Now(), accept).ok());
  queue.Stop(DeviceLost());
  queue.Stop(absl::UnavailableError("stopped"));
  PushedOut pushed_out;
  EXPECT_EQ(queue.Push(pending, 1, variants, clock.Now(), accept, &pushed_out), DeviceLost());
  EXPECT_EQ(queue.Reserve(pending.get(), pending->encoded.work, clock.Now(), accept), DeviceLost());
  EXPECT_LT(queue.Cut(0, variants, clock.Now()).selection.variant, 0);
}

TEST_F(BatchQueueTest, TheDeadlineThreadEndsWithTheQueue) {
  bool is_due = true;
  std::jthread waiting([&] { is_due = queue.WaitForDue(clock); });
  queue.Stop(absl::UnavailableError("stopped"));
  waiting.join();
  EXPECT_FALSE(is_due);
}

}  // namespace
}  // namespace tailor
