// SPDX-License-Identifier: Apache-2.0
#include "tests/testing/cuda_on_host/thread_block.h"

#include <array>
#include <numeric>
#include <set>
#include <vector>

#include "gtest/gtest.h"

namespace tailor::testing {
namespace {

constexpr int kThreads = 128;

int Me() { return static_cast<int>(ThreadBlock::Present().thread_index().x); }

TEST(ThreadBlockTest, RunsEveryThreadOnceInABlock) {
  ThreadBlock block;
  std::vector<int> runs(kThreads);
  const auto body = [&] {
    EXPECT_EQ(ThreadBlock::Present().block_index().y, 3U);
    ++runs[static_cast<size_t>(Me())];
  };
  ASSERT_TRUE(block.Run(kThreads, {.y = 3}, body).ok());
  EXPECT_EQ(runs, std::vector<int>(kThreads, 1));
  // Fibres are kept: a smaller and a larger block after it.
  ASSERT_TRUE(block.Run(32, {.y = 3}, body).ok());
  runs.resize(256);
  ASSERT_TRUE(block.Run(256, {.y = 3}, body).ok());
  EXPECT_EQ(std::accumulate(runs.begin(), runs.end(), 0), 128 + 32 + 256);
}

TEST(ThreadBlockTest, NobodyPassesABarrierBeforeTheLastOneComes) {
  ThreadBlock block;
  int arrived = 0;
  const auto body = [&] {
    for (int round = 1; round <= 3; ++round) {
      ++arrived;
      ThreadBlock::Present().SyncBlock();
      EXPECT_EQ(arrived, round * kThreads);
      ThreadBlock::Present().SyncBlock();
    }
  };
  EXPECT_TRUE(block.Run(kThreads, {}, body).ok());
}

// What makes it worth having: without the barrier, some thread reads what is not there yet.
TEST(ThreadBlockTest, AMissingBarrierShows) {
  for (const bool has_barrier : {true, false}) {
    ThreadBlock block;
    std::array<int, kThreads> shared = {};
    int wrong = 0;
    const auto body = [&] {
      shared[static_cast<size_t>(Me())] = Me() + 1;
      if (has_barrier) ThreadBlock::Present().SyncBlock();
      const int neighbour = (Me() + 1) % kThreads;
      if (shared[static_cast<size_t>(neighbour)] != neighbour + 1) ++wrong;
    };
    ASSERT_TRUE(block.Run(kThreads, {}, body).ok());
    EXPECT_EQ(wrong == 0, has_barrier) << wrong;
  }
}

TEST(ThreadBlockTest, LanesExchangeWithinTheirWarp) {
  ThreadBlock block;
  std::vector<float> sums(kThreads);
  const auto body = [&] {
    auto value = static_cast<float>(Me());
    for (int distance = 16; distance > 0; distance /= 2) {
      value += ThreadBlock::Present().ExchangeInWarp(value, distance);
    }
    sums[static_cast<size_t>(Me())] = value;
  };
  ASSERT_TRUE(block.Run(kThreads, {}, body).ok());
  for (int i = 0; i < kThreads; ++i) {
    const int first = i / 32 * 32;
    EXPECT_EQ(sums[static_cast<size_t>(i)], static_cast<float>(32 * first + 31 * 16)) << i;
  }
}

TEST(ThreadBlockTest, SaysWhenThreadsWaitForSomeThatNeverCome) {
  ThreadBlock block;
  const auto some_leave = [] {
    if (Me() != 7) ThreadBlock::Present().SyncBlock();
  };
  EXPECT_EQ(block.Run(kThreads, {}, some_leave).code(), absl::StatusCode::kInternal);
  const auto two_kinds = [] {
    if (Me() % 2 == 0) {
      ThreadBlock::Present().SyncBlock();
    } else {
      ThreadBlock::Present().SyncWarp();
    }
  };
  EXPECT_EQ(block.Run(kThreads, {}, two_kinds).code(), absl::StatusCode::kInternal);
  EXPECT_TRUE(block.Run(kThreads, {}, [] { ThreadBlock::Present().SyncWarp(); }).ok());
}

TEST(ThreadBlockTest, TheOrderChangesFromTurnToTurn) {
  ThreadBlock block;
  std::set<int> first;
  for (int run = 0; run < 20; ++run) {
    bool is_first = true;
    const auto body = [&] {
      if (is_first) first.insert(Me());
      is_first = false;
    };
    ASSERT_TRUE(block.Run(kThreads, {}, body).ok());
  }
  EXPECT_GT(first.size(), 10U);
}

}  // namespace
}  // namespace tailor::testing
