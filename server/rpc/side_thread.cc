// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/side_thread.h"

#include <utility>

namespace tailor {

SideThread::SideThread(const std::string& name, size_t max_queued)
    : max_queued_(max_queued), thread_(name, [this] { Loop(); }) {}

SideThread::~SideThread() {
  {
    const MutexLock lock(&mutex_);
    stopping_ = true;
  }
  changed_.NotifyAll();
  thread_.Join();
}

bool SideThread::TryRun(std::function<void()> work) {
  {
    const MutexLock lock(&mutex_);
    if (queue_.size() >= max_queued_) return false;
    queue_.push_back(std::move(work));
  }
  changed_.NotifyOne();
  return true;
}

void SideThread::Loop() {
  for (;;) {
    std::function<void()> work;
    {
      const MutexLock lock(&mutex_);
      while (queue_.empty() && !stopping_) changed_.Wait(&mutex_);
      if (queue_.empty()) return;
      work = std::move(queue_.front());
      queue_.pop_front();
    }
    work();
  }
}

}  // namespace tailor
