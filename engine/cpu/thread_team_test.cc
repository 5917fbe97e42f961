// SPDX-License-Identifier: Apache-2.0
#include "engine/cpu/thread_team.h"

#include <vector>

#include "gtest/gtest.h"

#include "base/thread.h"

namespace tailor {
namespace {

TEST(ThreadTeam, RunsTheBodyOnceOnEveryMember) {
  for (const int size : {1, 2, 3, 8}) {
    ThreadTeam team(size);
    std::vector<int> calls(size, 0);  // plain: Run must order the writes before its return
    for (int round = 0; round < 100; ++round) team.Run([&](int member) { ++calls[member]; });
    for (const int count : calls) EXPECT_EQ(count, 100);
  }
}

TEST(ThreadTeam, NobodyPassesTheBarrierBeforeAllHaveArrived) {
  for (const int size : {1, 2, 3, 8}) {
    ThreadTeam team(size);
    std::vector<int> step(size, 0);
    std::vector<int> errors(size, 0);
    team.Run([&](int member) {
      for (int round = 1; round <= 200; ++round) {
        step[member] = round;
        team.Barrier();
        for (const int other : step) errors[member] += other != round;
        team.Barrier();
      }
    });
    for (const int count : errors) EXPECT_EQ(count, 0);
  }
}

TEST(ThreadTeam, KeepsItsThreadsOnTheirCores) {
  const std::vector<int> cores = AllowedCores();
  ASSERT_FALSE(cores.empty());
  ThreadTeam team(3, {cores.front(), cores.back(), cores.front()});
  std::vector<std::vector<int>> seen(3);
  team.Run([&](int member) { seen[static_cast<size_t>(member)] = AllowedCores(); });
  EXPECT_EQ(seen[0], cores);  // the caller is nobody's but its own
  EXPECT_EQ(seen[1], std::vector<int>{cores.back()});
  EXPECT_EQ(seen[2], std::vector<int>{cores.front()});
}

TEST(ThreadTeam, AnIdleTeamEndsAtOnce) { const ThreadTeam team(8); }

}  // namespace
}  // namespace tailor
