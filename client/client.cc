// SPDX-License-Identifier: Apache-2.0
#include "client/client.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/call_error.h"
#include "client/retry_budget.h"
#include "client/wire.h"
#include "grpcpp/grpcpp.h"

#include "base/clock.h"
#include "tailor/v1/ranker.grpc.pb.h"

namespace tailor::client {

class Client::Impl {
 public:
  explicit Impl(ClientOptions options)
      : options_(std::move(options)),
        channel_(grpc::CreateChannel(options_.server, grpc::InsecureChannelCredentials())),
        stub_(v1::Ranker::NewStub(channel_)),
        retry_budget_(options_.retry.max_tokens, options_.retry.earned_per_success) {
    if (!options_.pause) {
      options_.pause = [](Duration pause) { std::this_thread::sleep_for(pause); };
    }
  }

  absl::Status Connect(Duration timeout) {
    const auto deadline = std::chrono::system_clock::now() +
                          std::chrono::duration_cast<std::chrono::microseconds>(timeout);
    // Not WaitForConnected: that waits for the whole time where nothing listens.
    while (true) {
      const grpc_connectivity_state state = channel_->GetState(/*try_to_connect=*/true);
      if (state == GRPC_CHANNEL_READY) return absl::OkStatus();
      if (state == GRPC_CHANNEL_TRANSIENT_FAILURE || state == GRPC_CHANNEL_SHUTDOWN ||
          !channel_->WaitForStateChange(state, deadline)) {
        return absl::UnavailableError(absl::StrCat("cannot connect to ", options_.server));
      }
    }
  }

  // Calls `method` with `request`, whose budget is lowered to what is left at each retry.
  // Returns the number of attempts made.
  template <typename Request, typename Response, typename Method>
  absl::StatusOr<int> Call(Method method, Request* request, Response* response) {
    const TimePoint start = std::chrono::steady_clock::now();
    const Duration budget = std::chrono::microseconds(request->options().latency_budget_us());
    for (int attempt = 1;; ++attempt) {
      const Duration left = budget - (std::chrono::steady_clock::now() - start);
      if (attempt > 1 && budget > Duration::zero()) {
        request->mutable_options()->set_latency_budget_us(std::max<int64_t>(1, ToMicros(left)));
      }
      const bool has_budget = budget > Duration::zero();
      const grpc::Status status =
          CallOnce(method, *request, response, has_budget,
                   has_budget ? left + options_.deadline_slack : options_.default_timeout);
      if (status.ok()) {
        retry_budget_.RecordSuccess();
        return attempt;
      }
      const absl::Status error =
          MakeCallStatus(status.error_code(), status.error_message(), status.error_details());
      const auto pause = PauseBeforeRetry(error, attempt, budget, start);
      if (!pause) return error;
      options_.pause(*pause);
    }
  }

 private:
  // With `on_wire` the server learns of the timeout; without, the call is cancelled after it.
  template <typename Request, typename Response, typename Method>
  grpc::Status CallOnce(Method method, const Request& request, Response* response, bool on_wire,
                        Duration timeout) {
    const auto deadline = std::chrono::system_clock::now() +
                          std::chrono::duration_cast<std::chrono::microseconds>(timeout);
    grpc::ClientContext context;
    if (on_wire) context.set_deadline(deadline);
    grpc::CompletionQueue queue;
    grpc::Status status;
    const auto reader = (stub_.get()->*method)(&context, request, &queue);
    reader->Finish(response, &status, this);
    void* tag = nullptr;
    bool ok = false;
    const bool is_late =
        !on_wire && queue.AsyncNext(&tag, &ok, deadline) == grpc::CompletionQueue::TIMEOUT;
    if (is_late) context.TryCancel();
    if (on_wire || is_late) queue.Next(&tag, &ok);
    if (is_late && !status.ok()) {
      return {grpc::StatusCode::DEADLINE_EXCEEDED, "no answer within the client's timeout"};
    }
    return status;
  }

  std::optional<Duration> PauseBeforeRetry(const absl::Status& status, int attempt, Duration budget,
                                           TimePoint start) {
    const CallError error = GetCallError(status);
    if (error.reason != "OVERLOADED" || !error.retry_after) return std::nullopt;
    if (!retry_budget_.RecordFailure() || attempt >= options_.retry.max_attempts) {
      return std::nullopt;
    }
    const Duration elapsed = std::chrono::steady_clock::now() - start;
    const Duration allowed = budget > Duration::zero() ? budget : options_.default_timeout;
    if (elapsed + *error.retry_after >= allowed) return std::nullopt;
    return error.retry_after;
  }

  ClientOptions options_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Ranker::Stub> stub_;
  RetryBudget retry_budget_;
};

Client::Client(ClientOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Client::~Client() = default;

absl::Status Client::Connect(Duration timeout) { return impl_->Connect(timeout); }

absl::StatusOr<RankResult> Client::Rank(const RankCall& call) {
  v1::RankRequest request = ToRequest(call);
  v1::RankResponse response;
  const auto attempts = impl_->Call(&v1::Ranker::Stub::AsyncRank, &request, &response);
  if (!attempts.ok()) return attempts.status();
  RankResult result = FromResponse(response);
  result.attempts = *attempts;
  return result;
}

absl::StatusOr<ScoreResult> Client::Score(const ScoreCall& call) {
  v1::ScoreRequest request = ToRequest(call);
  v1::ScoreResponse response;
  const auto attempts = impl_->Call(&v1::Ranker::Stub::AsyncScore, &request, &response);
  if (!attempts.ok()) return attempts.status();
  ScoreResult result = FromResponse(response);
  result.attempts = *attempts;
  return result;
}

}  // namespace tailor::client
