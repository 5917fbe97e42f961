// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/call_queue.h"

#include <utility>

namespace tailor {

CallQueue::CallQueue(std::unique_ptr<grpc::ServerCompletionQueue> queue)
    : queue_(std::move(queue)) {}

void CallQueue::StartPoller(const std::string& thread_name) {
  poller_ = Thread(thread_name, [this] { Poll(); });
}

void CallQueue::Poll() {
  void* tag = nullptr;
  bool ok = false;
  while (queue_->Next(&tag, &ok)) static_cast<CallEvent*>(tag)->OnEvent(ok);
}

void CallQueue::Shut() {
  {
    const MutexLock lock(&mutex_);
    shutting_ = true;
    while (calls_ > 0) no_calls_.Wait(&mutex_);
  }
  queue_->Shutdown();
  poller_.Join();
}

bool CallQueue::Enter() {
  const MutexLock lock(&mutex_);
  if (shutting_) return false;
  ++calls_;
  return true;
}

void CallQueue::Leave() {
  const MutexLock lock(&mutex_);
  if (--calls_ == 0) no_calls_.NotifyAll();
}

}  // namespace tailor
