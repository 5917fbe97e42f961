// SPDX-License-Identifier: Apache-2.0
// grpc.health.v1.Health on our own completion queues. gRPC's own implementation brings threads that
// poll the same connections, and each event of a call then wakes one of them for nothing.
#pragma once

#include <memory>
#include <vector>

#include "grpc/health/v1/health.grpc.pb.h"

#include "server/rpc/call_queue.h"
#include "server/rpc/health_watch.h"
#include "server/rpc/unary_call.h"
#include "server/telemetry/health.h"

namespace tailor {

// Thread-safe. Says for "" and "tailor.v1.Ranker" what it observes of `health`.
class HealthService {
 public:
  explicit HealthService(Health* health);

  grpc::Service* service() { return &service_; }
  // Check; valid as long as this object.
  std::vector<UnaryCall::Method> Methods();
  // Begins to wait for Watch calls.
  void PostWatches(CallQueue* queue);
  // Before the server shuts down, which waits for all calls.
  void EndWatches() { watches_->End(); }

 private:
  void Check(const UnaryCall::Ptr& call);

  grpc::health::v1::Health::WithRawMethod_Check<HealthWatch::Service> service_;
  const std::shared_ptr<HealthWatches> watches_;  // shared with the observer, which never ends
};

}  // namespace tailor
