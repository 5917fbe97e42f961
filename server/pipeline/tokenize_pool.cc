// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/tokenize_pool.h"

#include <string>
#include <utility>

namespace tailor {

TokenizePool::TokenizePool(int num_threads) {
  threads_.reserve(static_cast<size_t>(num_threads));
  for (int i = 0; i < num_threads; ++i) {
    threads_.emplace_back("tokenize-" + std::to_string(i), [this] { Loop(); });
  }
}

TokenizePool::~TokenizePool() {
  {
    const MutexLock lock(&mutex_);
    is_stopping_ = true;
    changed_.NotifyAll();
  }
  threads_.clear();
}

void TokenizePool::Run(std::function<void()> work) {
  {
    const MutexLock lock(&mutex_);
    work_.push_back(std::move(work));
  }
  changed_.NotifyOne();
}

void TokenizePool::Loop() {
  for (;;) {
    std::function<void()> work;
    {
      const MutexLock lock(&mutex_);
      while (work_.empty() && !is_stopping_) changed_.Wait(&mutex_);
      if (work_.empty()) return;
      work = std::move(work_.front());
      work_.pop_front();
    }
    work();
  }
}

}  // namespace tailor
