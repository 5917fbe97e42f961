// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/unary_call.h"

#include <utility>

#include "grpcpp/support/proto_buffer_reader.h"
#include "grpcpp/support/proto_buffer_writer.h"

namespace tailor {
namespace {

// gRPC's own choice for the blocks of a serialised message.
constexpr int kBlockBytes = grpc::kProtoBufferWriterMaxBufferLength;

}  // namespace

UnaryCall::UnaryCall(const Method* method, CallQueue* queue) : method_(method), queue_(queue) {}

void UnaryCall::Post(const Method* method, CallQueue* queue) {
  if (!queue->Enter()) return;
  auto call = std::make_shared<UnaryCall>(method, queue);
  call->self_ = call;
  call->context_.AsyncNotifyWhenDone(static_cast<CallEvent*>(&call->done_event_));
  method->request(&call->context_, &call->request_, &call->writer_, queue->queue(),
                  static_cast<CallEvent*>(&call->main_event_));
}

void UnaryCall::OnMain(bool ok) {
  if (arrived_) {
    finished_ = true;
    if (done_) Release();
    return;
  }
  // Not ok: the server shuts down and no call came. Then the done tag never comes either.
  if (!ok) {
    Release();
    return;
  }
  arrived_ = true;
  // Before the work: gRPC 1.51 keeps an unbounded list of calls that nobody asked for.
  Post(method_, queue_);
  method_->handle(shared_from_this());
}

void UnaryCall::OnDone() {
  done_ = true;
  if (!finished_ && on_cancel_ && context_.IsCancelled()) on_cancel_();
  if (finished_) Release();
}

void UnaryCall::Release() {
  const Ptr self = std::move(self_);
  on_cancel_ = nullptr;  // it holds the ticket, whose callback may hold this call
  queue_->Leave();
}

bool UnaryCall::ParseInto(google::protobuf::MessageLite* message) {
  bool parsed = false;
  {
    grpc::ProtoBufferReader reader(&request_);
    parsed = reader.status().ok() && message->ParseFromZeroCopyStream(&reader);
  }
  request_.Clear();
  return parsed;
}

void UnaryCall::Finish(const google::protobuf::MessageLite& response) {
  grpc::ByteBuffer bytes;
  bool serialized = false;
  {
    const int size = static_cast<int>(response.ByteSizeLong());
    grpc::ProtoBufferWriter writer(&bytes, kBlockBytes, size);
    serialized = response.SerializeToZeroCopyStream(&writer);
  }
  if (!serialized) {
    FinishWithError({grpc::StatusCode::INTERNAL, "the answer cannot be serialised"});
    return;
  }
  writer_.Finish(bytes, grpc::Status::OK, static_cast<CallEvent*>(&main_event_));
}

void UnaryCall::FinishWithError(const grpc::Status& status) {
  writer_.FinishWithError(status, static_cast<CallEvent*>(&main_event_));
}

}  // namespace tailor
