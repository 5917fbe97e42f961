// SPDX-License-Identifier: Apache-2.0
// One unary call of any method, from its posting to its end. Messages travel as raw bytes, so that
// their size is judged, and a malformed one answered with a reason, before anything is parsed.
//
//   Post -> the call arrives -> a successor is posted -> Method::handle -> Finish -> gone
//                                                   \-> the caller cancels -> the OnCancel hook
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "google/protobuf/arena.h"
#include "google/protobuf/message_lite.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/async_unary_call.h"
#include "grpcpp/support/byte_buffer.h"

#include "server/rpc/call_queue.h"

namespace tailor {

// Owned by whoever still needs it: itself while gRPC may touch it, and every callback that holds
// the shared pointer (the texts of a request are views into its message). Finish may come from any
// thread; everything else belongs to the poller's thread.
class UnaryCall final : public std::enable_shared_from_this<UnaryCall> {
 public:
  using Ptr = std::shared_ptr<UnaryCall>;
  using Writer = grpc::ServerAsyncResponseWriter<grpc::ByteBuffer>;

  struct Method {
    // The generated RequestX of the raw service.
    std::function<void(grpc::ServerContext*, grpc::ByteBuffer*, Writer*,
                       grpc::ServerCompletionQueue*, void* tag)>
        request;
    // Leads to exactly one Finish. Must not block.
    std::function<void(const Ptr&)> handle;
    int posted = 8;  // calls that wait for arrivals on every queue
  };

  // Waits for one call of `method`, which outlives the queue. Does nothing when `queue` is shut.
  static void Post(const Method* method, CallQueue* queue);

  UnaryCall(const Method* method, CallQueue* queue);
  UnaryCall(const UnaryCall&) = delete;
  UnaryCall& operator=(const UnaryCall&) = delete;

  grpc::ServerContext& context() { return context_; }
  size_t request_bytes() const { return request_.Length(); }

  // The request as a message of that type, owned by the call and parsed in its arena; null when
  // it is malformed. Once a call: the raw bytes are freed.
  template <typename Message>
  const Message* Parse() {
    auto* message = google::protobuf::Arena::CreateMessage<Message>(&arena_);
    return ParseInto(message) ? message : nullptr;
  }

  // A message that lives as long as the call.
  template <typename Message>
  Message* NewMessage() {
    return google::protobuf::Arena::CreateMessage<Message>(&arena_);
  }

  // Called once if the caller goes away before the answer is sent.
  void OnCancel(std::function<void()> hook) { on_cancel_ = std::move(hook); }

  // The one answer. The caller's next access to this call must be through a Ptr of its own.
  void Finish(const google::protobuf::MessageLite& response);
  void FinishWithError(const grpc::Status& status);

 private:
  // The two tags of a call: arrival and then the end of Finish; and the end of the call as the
  // caller sees it.
  struct MainEvent final : CallEvent {
    explicit MainEvent(UnaryCall* owner) : call(owner) {}
    void OnEvent(bool ok) override { call->OnMain(ok); }
    UnaryCall* call;
  };
  struct DoneEvent final : CallEvent {
    explicit DoneEvent(UnaryCall* owner) : call(owner) {}
    void OnEvent(bool) override { call->OnDone(); }
    UnaryCall* call;
  };

  bool ParseInto(google::protobuf::MessageLite* message);
  void OnMain(bool ok);
  void OnDone();
  void Release();

  const Method* const method_;
  CallQueue* const queue_;
  grpc::ServerContext context_;
  grpc::ByteBuffer request_;
  Writer writer_{&context_};
  google::protobuf::Arena arena_;
  std::function<void()> on_cancel_;
  MainEvent main_event_{this};
  DoneEvent done_event_{this};
  bool arrived_ = false;
  bool finished_ = false;  // the main tag came back from Finish
  bool done_ = false;
  Ptr self_;  // while gRPC may still deliver a tag
};

}  // namespace tailor
