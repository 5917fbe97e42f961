// SPDX-License-Identifier: Apache-2.0
// A fixed team of threads that run the same function together. Waiting threads spin for some
// microseconds before they sleep, so that steps of one forward pass follow each other closely and
// an idle engine costs nothing.
#pragma once

#include <atomic>
#include <vector>

#include "absl/functional/function_ref.h"

#include "base/thread.h"

namespace tailor {

// Owned by one thread, which is member 0 of the team.
class ThreadTeam {
 public:
  // Starts size - 1 threads; size >= 1. cores: empty, or [size] the core that each member is kept
  // on; the first is the owner's, which pins itself. A core that the system refuses is ignored.
  explicit ThreadTeam(int size, const std::vector<int>& cores = {});
  // Ends the threads; no Run may be in progress.
  ~ThreadTeam();
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;

  int size() const { return size_; }

  // Calls body(member) once on every member and returns when all have finished. What a member wrote
  // is visible to the caller afterwards. Allocates nothing.
  void Run(absl::FunctionRef<void(int member)> body);

  // Inside Run: returns when every member has arrived. All members call it equally often.
  void Barrier();

 private:
  void Serve(int member);

  const int size_;
  std::atomic<uint32_t> job_{0};      // counts Run calls; also wakes the members
  std::atomic<int> unfinished_{0};    // members that still run the job
  std::atomic<int> arrived_{0};       // at the barrier
  std::atomic<uint32_t> barrier_{0};  // counts completed barriers
  std::atomic<bool> is_stopping_{false};
  const absl::FunctionRef<void(int)>* body_ = nullptr;  // published by job_
  std::vector<Thread> threads_;
};

}  // namespace tailor
