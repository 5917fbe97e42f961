// SPDX-License-Identifier: Apache-2.0
// One completion queue and the thread that polls it. The queue knows how many calls use it, so that
// it is shut down only after the last of them.
#pragma once

#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "grpcpp/completion_queue.h"

#include "base/mutex.h"
#include "base/thread.h"

namespace tailor {

// What a completion queue's tag points at. Called on the poller's thread.
class CallEvent {
 public:
  virtual void OnEvent(bool ok) = 0;

 protected:
  ~CallEvent() = default;
};

// Thread-safe. Events of one queue never run at the same time.
class CallQueue {
 public:
  explicit CallQueue(std::unique_ptr<grpc::ServerCompletionQueue> queue);
  // Shut must have been called when the poller was started.
  ~CallQueue() = default;

  void StartPoller(const std::string& thread_name);

  // After the server's Shutdown: posts nothing any more, waits until every call is gone, then
  // shuts the queue down and joins the poller.
  void Shut();

  grpc::ServerCompletionQueue* queue() const { return queue_.get(); }

  // Counts a call that is about to be posted. False when calls are no longer posted.
  bool Enter();
  // The call touches the queue no more.
  void Leave();

 private:
  void Poll();

  const std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  Mutex mutex_;
  CondVar no_calls_;
  int calls_ ABSL_GUARDED_BY(mutex_) = 0;
  bool shutting_ ABSL_GUARDED_BY(mutex_) = false;
  Thread poller_;
};

}  // namespace tailor
