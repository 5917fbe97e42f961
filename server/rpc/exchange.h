// SPDX-License-Identifier: Apache-2.0
// One call as a handler sees it: its message, its clock, its one answer, and its place in the
// metrics.
#pragma once

#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "base/clock.h"
#include "server/pipeline/refusal.h"
#include "server/rpc/request_validation.h"
#include "server/rpc/unary_call.h"
#include "server/telemetry/recorder.h"

namespace tailor {

// Shared by the handler and the pipeline's callback. The texts of a request stay valid as long as
// it lives. One thread at a time.
class Exchange {
 public:
  using Ptr = std::shared_ptr<Exchange>;

  // The call arrives now. `recorder` may be null; `clock` outlives this.
  Exchange(UnaryCall::Ptr call, RpcMethod method, Recorder* recorder, const Clock* clock);

  // The request, owned by the call; null when it was refused as too large or malformed.
  template <typename Message>
  const Message* Take(const RequestLimits& limits) {
    if (const absl::Status size = CheckMessageSize(call_->request_bytes(), limits); !size.ok()) {
      Refuse(size);
      return nullptr;
    }
    const auto* message = call_->Parse<Message>();
    if (message == nullptr) {
      Refuse(MakeRefusal({.refusal = Refusal::kInvalidArgument},
                         absl::StrCat("message: expected a ", Message().GetTypeName(),
                                      ", got bytes that are none")));
    }
    return message;
  }

  template <typename Message>
  Message* NewResponse() {
    return call_->NewMessage<Message>();
  }

  // The message has been read and checked: what came before counts as parsing.
  void EndParse();

  // Exactly one of them, once.
  void Reply(const google::protobuf::MessageLite& response);
  void Refuse(const absl::Status& status);

  UnaryCall& call() { return *call_; }
  TimePoint arrival() const { return arrival_; }
  Duration elapsed() const { return clock_->Now() - arrival_; }
  // Time left until the caller's gRPC deadline; nothing when it set none.
  std::optional<Duration> UntilDeadline();
  void set_budget(Duration budget) { recording_.set_budget(budget); }

 private:
  const UnaryCall::Ptr call_;
  Recorder* const recorder_;
  const Clock* const clock_;
  const TimePoint arrival_;
  RpcRecording recording_;
};

// What every method answers while there is no pipeline.
absl::Status NoVariant();

}  // namespace tailor
