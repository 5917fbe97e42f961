// SPDX-License-Identifier: Apache-2.0
#include "tests/testing/cuda_on_host/thread_block.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/check.h"

namespace tailor::testing {
namespace {

constexpr size_t kStackBytes = size_t{128} << 10;

ThreadBlock* present = nullptr;

}  // namespace

ThreadBlock& ThreadBlock::Present() {
  TAILOR_CHECK(present != nullptr);
  return *present;
}

absl::Status ThreadBlock::Run(int threads, Index block, const std::function<void()>& body) {
  if (threads_.size() < static_cast<size_t>(threads)) {
    threads_.resize(static_cast<size_t>(threads));
  }
  body_ = &body;
  block_ = block;
  count_ = threads;
  order_.resize(static_cast<size_t>(threads));
  std::iota(order_.begin(), order_.end(), 0);
  for (int i = 0; i < threads; ++i) Start(i);
  ThreadBlock* const outer = std::exchange(present, this);
  bool is_stuck = false;
  do {
    Shuffle();
    for (const int i : order_) {
      Thread& thread = threads_[static_cast<size_t>(i)];
      if (thread.state != State::kReady) continue;
      running_ = i;
      thread.fibre = std::move(thread.fibre).resume();
    }
    const bool is_done = std::all_of(threads_.begin(), threads_.begin() + threads,
                                     [](const Thread& t) { return t.state == State::kDone; });
    if (is_done) break;
    is_stuck = !Release();
  } while (!is_stuck);
  present = outer;
  if (!is_stuck) return absl::OkStatus();
  threads_.clear();  // unwinds them
  return absl::InternalError("threads of a block wait for some that never come");
}

// Fibres are kept from block to block: making one costs more than most kernels do in it.
void ThreadBlock::Start(int index) {
  Thread& thread = threads_[static_cast<size_t>(index)];
  thread.state = State::kReady;
  thread.exchanges = 0;
  if (thread.fibre) return;
  thread.fibre = boost::context::fiber(
      std::allocator_arg, boost::context::fixedsize_stack(kStackBytes),
      [this, index](boost::context::fiber&& scheduler) -> boost::context::fiber {
        threads_[static_cast<size_t>(index)].scheduler = std::move(scheduler);
        for (;;) {
          (*body_)();
          Wait(State::kDone);
        }
      });
}

void ThreadBlock::Wait(State state) {
  Thread& thread = threads_[static_cast<size_t>(running_)];
  thread.state = state;
  thread.scheduler = std::move(thread.scheduler).resume();
}

void ThreadBlock::Shuffle() {
  for (size_t i = order_.size(); i > 1; --i) {
    random_ = random_ * 1664525U + 1013904223U;  // Knuth and Lewis; its high bits are good enough
    std::swap(order_[i - 1], order_[(random_ >> 8) % i]);
  }
}

// Lets go who has waited long enough. False when nobody is ready then.
bool ThreadBlock::Release() {
  const auto all_at = [this](int begin, int end, State state) {
    return std::all_of(threads_.begin() + begin, threads_.begin() + end,
                       [state](const Thread& thread) { return thread.state == state; });
  };
  const auto release = [this](int begin, int end) {
    for (int i = begin; i < end; ++i) threads_[static_cast<size_t>(i)].state = State::kReady;
  };
  if (all_at(0, count_, State::kAtBlock)) {
    release(0, count_);
    return true;
  }
  bool any = false;
  for (int begin = 0; begin < count_; begin += kLanes) {
    const int end = std::min(begin + kLanes, count_);
    if (!all_at(begin, end, State::kAtWarp)) continue;
    release(begin, end);
    any = true;
  }
  return any;
}

void ThreadBlock::SyncBlock() { Wait(State::kAtBlock); }
void ThreadBlock::SyncWarp() { Wait(State::kAtWarp); }

float ThreadBlock::ExchangeInWarp(float value, int mask) {
  const int turn = threads_[static_cast<size_t>(running_)].exchanges++ % 2;
  threads_[static_cast<size_t>(running_)].sent[static_cast<size_t>(turn)] = value;
  SyncWarp();
  const int lane = running_ % kLanes;
  const int other = running_ - lane + (lane ^ mask);
  return threads_[static_cast<size_t>(other)].sent[static_cast<size_t>(turn)];
}

}  // namespace tailor::testing
