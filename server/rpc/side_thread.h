// SPDX-License-Identifier: Apache-2.0
// One thread for what is too long for a poller and needs no engine (Tokenize of a whole message).
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <string>

#include "absl/base/thread_annotations.h"

#include "base/mutex.h"
#include "base/thread.h"

namespace tailor {

// Thread-safe. Destruction runs what is queued and joins.
class SideThread {
 public:
  SideThread(const std::string& name, size_t max_queued);
  ~SideThread();
  SideThread(const SideThread&) = delete;
  SideThread& operator=(const SideThread&) = delete;

  // False, and nothing is kept, when max_queued pieces of work wait already.
  bool TryRun(std::function<void()> work);

 private:
  void Loop();

  const size_t max_queued_;
  Mutex mutex_;
  CondVar changed_;
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  Thread thread_;
};

}  // namespace tailor
