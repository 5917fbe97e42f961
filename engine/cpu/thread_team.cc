// SPDX-License-Identifier: Apache-2.0
#include "engine/cpu/thread_team.h"

#include <immintrin.h>

#include <chrono>
#include <string>

#include "base/check.h"

namespace tailor {
namespace {

// About twice what a sleeping thread needs to wake up: spinning longer could not pay.
constexpr std::chrono::microseconds kSpin(50);

// Waits until `value` differs from `old` and returns what it became.
template <typename T>
T AwaitChange(const std::atomic<T>& value, T old) {
  const auto deadline = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 64; ++i) {
      if (const T now = value.load(std::memory_order_acquire); now != old) return now;
      _mm_pause();
    }
  } while (std::chrono::steady_clock::now() < deadline);
  value.wait(old, std::memory_order_acquire);
  return value.load(std::memory_order_acquire);
}

}  // namespace

ThreadTeam::ThreadTeam(int size, const std::vector<int>& cores) : size_(size) {
  TAILOR_CHECK(size >= 1);
  TAILOR_CHECK(cores.empty() || cores.size() == static_cast<size_t>(size));
  for (int member = 1; member < size; ++member) {
    const int core = cores.empty() ? -1 : cores[static_cast<size_t>(member)];
    threads_.emplace_back("engine-" + std::to_string(member), [this, member, core] {
      if (core >= 0) PinThisThread(core);
      Serve(member);
    });
  }
}

ThreadTeam::~ThreadTeam() {
  is_stopping_.store(true, std::memory_order_relaxed);
  job_.fetch_add(1, std::memory_order_release);
  job_.notify_all();
}

void ThreadTeam::Run(absl::FunctionRef<void(int)> body) {
  body_ = &body;
  unfinished_.store(size_ - 1, std::memory_order_relaxed);
  job_.fetch_add(1, std::memory_order_release);
  if (size_ > 1) job_.notify_all();
  body(0);
  for (int left = unfinished_.load(std::memory_order_acquire); left > 0;) {
    left = AwaitChange(unfinished_, left);
  }
}

void ThreadTeam::Barrier() {
  if (size_ == 1) return;
  const uint32_t generation = barrier_.load(std::memory_order_acquire);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == size_) {
    arrived_.store(0, std::memory_order_relaxed);
    barrier_.fetch_add(1, std::memory_order_release);
    barrier_.notify_all();
  } else {
    AwaitChange(barrier_, generation);
  }
}

void ThreadTeam::Serve(int member) {
  uint32_t seen = 0;
  while (true) {
    seen = AwaitChange(job_, seen);
    if (is_stopping_.load(std::memory_order_relaxed)) return;
    (*body_)(member);
    if (unfinished_.fetch_sub(1, std::memory_order_release) == 1) unfinished_.notify_one();
  }
}

}  // namespace tailor
