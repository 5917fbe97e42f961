// SPDX-License-Identifier: Apache-2.0
// The threads that tokenise what is too long for the thread that submits it.
#pragma once

#include <deque>
#include <functional>
#include <vector>

#include "absl/base/thread_annotations.h"

#include "base/mutex.h"
#include "base/thread.h"

namespace tailor {

// Thread-safe. First come, first served; the queue's reservations bound what waits. Destruction
// runs what is queued and joins.
class TokenizePool {
 public:
  explicit TokenizePool(int num_threads);
  ~TokenizePool();
  TokenizePool(const TokenizePool&) = delete;
  TokenizePool& operator=(const TokenizePool&) = delete;

  void Run(std::function<void()> work);

 private:
  void Loop();

  Mutex mutex_;
  CondVar changed_;
  std::deque<std::function<void()>> work_ ABSL_GUARDED_BY(mutex_);
  bool is_stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<Thread> threads_;
};

}  // namespace tailor
