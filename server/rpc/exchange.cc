// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/exchange.h"

#include <chrono>
#include <utility>

#include "server/rpc/status_mapping.h"

namespace tailor {
Exchange::Exchange(UnaryCall::Ptr call, RpcMethod method, Recorder* recorder, const Clock* clock)
    : call_(std::move(call)),
      recorder_(recorder),
      clock_(clock),
      arrival_(clock->Now()),
      recording_(recorder, method, arrival_) {}

void Exchange::EndParse() {
  if (recorder_ != nullptr) recorder_->RecordParse(elapsed());
}

// Recorded before it is sent: who has the answer finds it counted. Only how long the reply took is
// known later.
void Exchange::Reply(const google::protobuf::MessageLite& response) {
  const TimePoint started = clock_->Now();
  recording_.End(Outcome::kOk, started);
  call_->Finish(response);
  if (recorder_ != nullptr) recorder_->RecordReply(clock_->Now() - started);
}

void Exchange::Refuse(const absl::Status& status) {
  recording_.End(OutcomeOf(status), clock_->Now());
  AddTrailers(status, &call_->context());
  call_->FinishWithError(ToGrpcStatus(status));
}

// Monotonic, so that a jump of the wall clock between arrival and here does not matter.
std::optional<Duration> Exchange::UntilDeadline() {
  const gpr_timespec deadline = call_->context().raw_deadline();
  if (gpr_time_cmp(deadline, gpr_inf_future(deadline.clock_type)) == 0) return std::nullopt;
  const gpr_timespec left = gpr_time_sub(gpr_convert_clock_type(deadline, GPR_CLOCK_MONOTONIC),
                                         gpr_now(GPR_CLOCK_MONOTONIC));
  return std::chrono::seconds(left.tv_sec) + std::chrono::nanoseconds(left.tv_nsec);
}

absl::Status NoVariant() {
  return MakeRefusal({.refusal = Refusal::kNotReady}, "no variant of the family could be loaded");
}

}  // namespace tailor
