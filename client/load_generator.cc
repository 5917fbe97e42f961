// SPDX-License-Identifier: Apache-2.0
#include "client/load_generator.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <random>
#include <thread>
#include <unordered_set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/call_error.h"
#include "client/wire.h"
#include "grpcpp/grpcpp.h"

#include "base/mutex.h"
#include "base/thread.h"
#include "tailor/v1/ranker.grpc.pb.h"

namespace tailor::client {
namespace {

// Calls without a budget have no deadline on the wire, where it would take the place of the
// server's default budget. When nothing has been sent for this long, more than any deadline, what
// is still under way is cancelled.
constexpr Duration kTimeoutWithoutBudget = std::chrono::seconds(65);
constexpr std::chrono::seconds kTick{1};
// Calls to a server that has gone fail at once: a closed loop would spin.
constexpr int64_t kMaxFailuresInARow = 1000;

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& server) {
  grpc::ChannelArguments arguments;
  // Otherwise channels with the same arguments share one connection and its limit of calls.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  return grpc::CreateCustomChannel(server, grpc::InsecureChannelCredentials(), arguments);
}

// A call under way; owns everything that gRPC writes to until the call has ended.
struct PendingCall {
  CallRecord record;
  TimePoint intended;
  grpc::ClientContext context;
  grpc::Status status;
  v1::RankResponse response;
  std::unique_ptr<grpc::ClientAsyncResponseReader<v1::RankResponse>> reader;
};

void FillAnswer(const v1::RankResponse& response, CallRecord* record) {
  const Execution execution = FromExecution(response.execution());
  record->outcome = CallRecord::Outcome::kAnswered;
  record->reason = execution.reason;
  record->variant = execution.variant;
  record->quality = execution.quality;
  record->tokens = execution.tokens;
  record->server_budget = execution.budget;
  record->queue = execution.queue;
  record->compute = execution.compute;
  record->predicted = execution.predicted;
  record->total = execution.total;
}

void FillError(const grpc::Status& status, CallRecord* record) {
  const CallError error = GetCallError(
      MakeCallStatus(status.error_code(), status.error_message(), status.error_details()));
  record->outcome =
      error.IsRefusal() ? CallRecord::Outcome::kRefused : CallRecord::Outcome::kFailed;
  record->reason = error.reason;
}

}  // namespace

class LoadGenerator::Impl {
 public:
  Impl(LoadTarget target, std::vector<BudgetShare> budgets, TextPool texts)
      : target_(std::move(target)), budgets_(std::move(budgets)), texts_(std::move(texts)) {
    for (int i = 0; i < std::max(1, target_.connections); ++i) {
      channels_.push_back(MakeChannel(target_.server));
      stubs_.push_back(v1::Ranker::NewStub(channels_.back()));
    }
  }

  absl::Status Connect(Duration timeout) {
    const auto deadline = std::chrono::system_clock::now() +
                          std::chrono::duration_cast<std::chrono::microseconds>(timeout);
    for (const auto& channel : channels_) {
      if (!channel->WaitForConnected(deadline)) {
        return absl::UnavailableError(absl::StrCat("cannot connect to ", target_.server));
      }
    }
    return absl::OkStatus();
  }

  std::vector<CallRecord> RunOpenLoop(const std::vector<PlannedCall>& calls) {
    in_flight_limit_ = target_.max_in_flight;
    start_ = std::chrono::steady_clock::now();
    Thread receiver("load-receive", [this] {
      while (Receive()) {
      }
    });
    for (const PlannedCall& call : calls) {
      const TimePoint intended = start_ + call.offset;
      std::this_thread::sleep_until(intended);
      Send(intended, call);
    }
    // The receiver ends when every call, all of which have deadlines, has ended: gRPC lets a queue
    // be shut down while calls that were started before are under way.
    queue_.Shutdown();
    receiver.Join();
    return TakeRecords();
  }

  std::vector<CallRecord> RunClosedLoop(int concurrency, int documents, Duration duration,
                                        uint64_t seed) {
    std::mt19937_64 random(seed);
    in_flight_limit_ = concurrency;
    start_ = std::chrono::steady_clock::now();
    // One thread: each call that ends makes room for the next.
    while (true) {
      const TimePoint now = std::chrono::steady_clock::now();
      const bool is_over = now - start_ >= duration || failures_in_a_row_ >= kMaxFailuresInARow;
      if (!is_over && in_flight_ < concurrency) {
        Send(now, {now - start_, DrawBudget(budgets_, random), documents});
      } else if (in_flight_ > 0) {
        Receive();
      } else {
        break;
      }
    }
    queue_.Shutdown();
    return TakeRecords();
  }

  LoadProgress Progress() const {
    return {sent_.load(), answered_.load(), refused_.load(), failed_.load(), in_flight_.load()};
  }

 private:
  void Send(TimePoint intended, const PlannedCall& planned) {
    auto call = std::make_unique<PendingCall>();
    call->intended = intended;
    call->record.offset = planned.offset;
    call->record.budget = planned.budget;
    call->record.documents = planned.documents;
    const Duration budget = budgets_[static_cast<size_t>(planned.budget)].budget;
    if (in_flight_ >= in_flight_limit_) {
      call->record.reason = kInFlightLimit;
      Keep(std::move(call->record));
      return;
    }
    const v1::RankRequest request = MakeRequest(planned.documents, budget);
    if (budget > Duration::zero()) {
      call->context.set_deadline(
          std::chrono::system_clock::now() +
          std::chrono::duration_cast<std::chrono::microseconds>(budget + target_.deadline_slack));
    }
    v1::Ranker::Stub& stub = *stubs_[static_cast<size_t>(sent_) % stubs_.size()];
    ++sent_;
    ++in_flight_;
    call->record.lag = std::chrono::steady_clock::now() - intended;
    call->reader = stub.AsyncRank(&call->context, request, &queue_);
    PendingCall* const tag = call.release();  // comes back from the queue exactly once
    {
      const MutexLock lock(&mutex_);
      under_way_.insert(tag);
      last_send_ = std::chrono::steady_clock::now();
    }
    tag->reader->Finish(&tag->response, &tag->status, tag);
  }

  v1::RankRequest MakeRequest(int documents, Duration budget) {
    CallTexts texts = texts_.Draw(documents);
    RankCall call;
    call.query = texts.query;
    call.documents = std::move(texts.documents);
    call.options = target_.options;
    call.options.budget = budget;
    return ToRequest(call);
  }

  // Waits for one call to end; false when the queue is shut down and empty.
  bool Receive() {
    void* tag = nullptr;
    bool ok = false;
    while (true) {
      const auto event = queue_.AsyncNext(&tag, &ok, std::chrono::system_clock::now() + kTick);
      if (event == grpc::CompletionQueue::SHUTDOWN) return false;
      if (event == grpc::CompletionQueue::GOT_EVENT) break;
      CancelForgotten();
    }
    const TimePoint now = std::chrono::steady_clock::now();
    const std::unique_ptr<PendingCall> call(static_cast<PendingCall*>(tag));
    {
      const MutexLock lock(&mutex_);
      under_way_.erase(call.get());
    }
    call->record.latency = now - call->intended;
    if (call->status.ok()) {
      FillAnswer(call->response, &call->record);
    } else {
      FillError(call->status, &call->record);
    }
    Keep(std::move(call->record));
    --in_flight_;
    return true;
  }

  void CancelForgotten() {
    const MutexLock lock(&mutex_);
    if (std::chrono::steady_clock::now() - last_send_ < kTimeoutWithoutBudget) return;
    for (PendingCall* call : under_way_) call->context.TryCancel();
  }

  void Keep(CallRecord record) {
    if (record.outcome != CallRecord::Outcome::kFailed) failures_in_a_row_ = 0;
    switch (record.outcome) {
      case CallRecord::Outcome::kAnswered:
        ++answered_;
        break;
      case CallRecord::Outcome::kRefused:
        ++refused_;
        break;
      case CallRecord::Outcome::kFailed:
        ++failed_;
        ++failures_in_a_row_;
        break;
    }
    const MutexLock lock(&mutex_);
    records_.push_back(std::move(record));
  }

  std::vector<CallRecord> TakeRecords() {
    const MutexLock lock(&mutex_);
    return std::move(records_);
  }

  const LoadTarget target_;
  const std::vector<BudgetShare> budgets_;
  TextPool texts_;
  std::vector<std::shared_ptr<grpc::Channel>> channels_;
  std::vector<std::unique_ptr<v1::Ranker::Stub>> stubs_;
  grpc::CompletionQueue queue_;
  TimePoint start_;
  int64_t in_flight_limit_ = 0;
  std::atomic<int64_t> failures_in_a_row_{0};
  std::atomic<int64_t> sent_{0};
  std::atomic<int64_t> answered_{0};
  std::atomic<int64_t> refused_{0};
  std::atomic<int64_t> failed_{0};
  std::atomic<int64_t> in_flight_{0};
  Mutex mutex_;
  std::vector<CallRecord> records_ ABSL_GUARDED_BY(mutex_);
  std::unordered_set<PendingCall*> under_way_ ABSL_GUARDED_BY(mutex_);
  TimePoint last_send_ ABSL_GUARDED_BY(mutex_);
};

LoadGenerator::LoadGenerator(LoadTarget target, std::vector<BudgetShare> budgets, TextPool texts)
    : impl_(std::make_unique<Impl>(std::move(target), std::move(budgets), std::move(texts))) {}
LoadGenerator::~LoadGenerator() = default;

absl::Status LoadGenerator::Connect(Duration timeout) { return impl_->Connect(timeout); }

std::vector<CallRecord> LoadGenerator::RunOpenLoop(const std::vector<PlannedCall>& calls) {
  return impl_->RunOpenLoop(calls);
}

std::vector<CallRecord> LoadGenerator::RunClosedLoop(int concurrency, int documents,
                                                     Duration duration, uint64_t seed) {
  return impl_->RunClosedLoop(concurrency, documents, duration, seed);
}

LoadProgress LoadGenerator::Progress() const { return impl_->Progress(); }

}  // namespace tailor::client
