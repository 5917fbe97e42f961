// SPDX-License-Identifier: Apache-2.0
// A GPU's block of threads on one thread of the host.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

#include "absl/status/status.h"

#include "boost/context/fiber.hpp"

namespace tailor::testing {

// Runs each thread of a block as a fibre until it waits for others, and picks the next one in an
// order that changes from turn to turn: a kernel that lacks a barrier reads what is not there yet,
// or no longer. Stricter than a GPU in one way: a thread that others wait for must not have ended.
// One at a time is run from.
class ThreadBlock {
 public:
  struct Index {
    unsigned x = 0, y = 0, z = 0;
  };

  ThreadBlock() = default;
  ThreadBlock(const ThreadBlock&) = delete;
  ThreadBlock& operator=(const ThreadBlock&) = delete;

  // Calls `body` as each thread of the block. Internal when threads wait for some that never come.
  absl::Status Run(int threads, Index block, const std::function<void()>& body);

  // For the body: the block it runs in.
  static ThreadBlock& Present();
  Index thread_index() const { return {.x = static_cast<unsigned>(running_)}; }
  Index block_index() const { return block_; }
  void SyncBlock();
  void SyncWarp();
  // The value that the lane whose number differs by `mask`, bit for bit, has called this with.
  float ExchangeInWarp(float value, int mask);

 private:
  static constexpr int kLanes = 32;
  enum class State { kReady, kAtBlock, kAtWarp, kDone };

  struct Thread {
    boost::context::fiber fibre;      // where it goes on
    boost::context::fiber scheduler;  // where the one who runs it goes on
    State state = State::kDone;
    std::array<float, 2> sent = {};  // by turns, so that a fast lane does not overwrite
    int exchanges = 0;
  };

  void Start(int index);
  void Wait(State state);
  void Shuffle();
  bool Release();

  std::deque<Thread> threads_;  // suspended fibres refer to theirs
  std::vector<int> order_;
  const std::function<void()>* body_ = nullptr;
  Index block_;
  int count_ = 0;
  int running_ = 0;
  uint32_t random_ = 1;
};

}  // namespace tailor::testing
