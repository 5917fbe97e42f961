// SPDX-License-Identifier: Apache-2.0
// grpc.health.v1 Watch: streams of the server's state, each from its posting to its end.
//
//   Post -> the call arrives -> a successor is posted -> HealthWatches::Add -> states -> Finish
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/async_stream.h"

#include "base/mutex.h"
#include "server/rpc/call_queue.h"

namespace tailor {

class HealthWatch;

// The state, and who watches it. Thread-safe.
class HealthWatches {
 public:
  using Status = grpc::health::v1::HealthCheckResponse;

  // "" and the name of the service that is served have a state; absent for any other.
  std::optional<Status::ServingStatus> StateOf(const std::string& service) const;

  void Set(bool is_serving);
  // Nothing is served any more; ends all watches, also those that come later.
  void End();

  void Add(const std::shared_ptr<HealthWatch>& watch);
  void Remove(const std::shared_ptr<HealthWatch>& watch);

 private:
  std::optional<Status::ServingStatus> StateLocked(const std::string& service) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable Mutex mutex_;
  bool is_serving_ ABSL_GUARDED_BY(mutex_) = false;
  bool has_ended_ ABSL_GUARDED_BY(mutex_) = false;
  std::set<std::shared_ptr<HealthWatch>> watches_ ABSL_GUARDED_BY(mutex_);
};

// Owns itself while gRPC may touch it. Events come on the poller's thread, Show and End from any.
class HealthWatch final : public std::enable_shared_from_this<HealthWatch> {
 public:
  using Service =
      grpc::health::v1::Health::WithAsyncMethod_Watch<grpc::health::v1::Health::Service>;
  using Response = grpc::health::v1::HealthCheckResponse;

  // Waits for one call. Does nothing when `queue` is shut. All outlive the queue.
  static void Post(Service* service, HealthWatches* watches, CallQueue* queue);

  HealthWatch(Service* service, HealthWatches* watches, CallQueue* queue)
      : service_(service), watches_(watches), queue_(queue) {}
  HealthWatch(const HealthWatch&) = delete;
  HealthWatch& operator=(const HealthWatch&) = delete;

  // What is asked for; constant once the call has arrived.
  const std::string& service_name() const { return request_.service(); }

  // The caller is told when it does not know it yet; of several states the last.
  void Show(Response::ServingStatus state);
  void End();

 private:
  // Arrival, then the end of each write, then that of Finish: one at a time.
  struct MainEvent final : CallEvent {
    explicit MainEvent(HealthWatch* owner) : watch(owner) {}
    void OnEvent(bool ok) override { watch->OnMain(ok); }
    HealthWatch* watch;
  };
  struct DoneEvent final : CallEvent {
    explicit DoneEvent(HealthWatch* owner) : watch(owner) {}
    void OnEvent(bool) override { watch->OnDone(); }
    HealthWatch* watch;
  };

  void OnMain(bool ok);
  void OnDone();
  // Starts what is to be done next, unless something is under way.
  void Continue() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Release();

  Service* const service_;
  HealthWatches* const watches_;
  CallQueue* const queue_;
  grpc::ServerContext context_;
  grpc::health::v1::HealthCheckRequest request_;
  grpc::ServerAsyncWriter<Response> writer_{&context_};
  MainEvent main_event_{this};
  DoneEvent done_event_{this};
  bool arrived_ = false;

  Mutex mutex_;
  bool is_under_way_ ABSL_GUARDED_BY(mutex_) = false;  // a write or Finish
  bool is_ending_ ABSL_GUARDED_BY(mutex_) = false;
  bool has_finish_ ABSL_GUARDED_BY(mutex_) = false;  // Finish was called
  bool is_done_ ABSL_GUARDED_BY(mutex_) = false;     // the call has ended for the caller
  std::optional<Response::ServingStatus> state_ ABSL_GUARDED_BY(mutex_);
  std::optional<Response::ServingStatus> told_ ABSL_GUARDED_BY(mutex_);

  std::shared_ptr<HealthWatch> self_;  // while gRPC may still deliver a tag
};

}  // namespace tailor
