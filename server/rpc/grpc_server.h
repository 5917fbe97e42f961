// SPDX-License-Identifier: Apache-2.0
// The gRPC listener: own completion queues and pollers, limits, health and reflection.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"

#include "base/clock.h"
#include "server/pipeline/ranker.h"
#include "server/pipeline/server_facts.h"
#include "server/rpc/request_validation.h"
#include "server/telemetry/health.h"
#include "server/telemetry/recorder.h"

namespace tailor {

struct GrpcServerOptions {
  std::string listen = "127.0.0.1:50051";  // port 0: any free one
  int pollers = 1;                         // one completion queue each
  bool reflection = true;
  // Of the messages of all connections while they arrive; at least four messages fit.
  int64_t max_buffered_bytes = 64 << 20;
  RequestLimits limits;
};

// What the services answer with. All outlive the server; the ranker at least its Shutdown.
struct GrpcServerParts {
  Ranker* ranker = nullptr;      // null: no variant could be loaded
  Recorder* recorder = nullptr;  // null: nothing is recorded
  Health* health = nullptr;
  const ServerFacts* facts = nullptr;
  const Clock* clock = nullptr;
};

// Thread-safe. Start, then Shutdown once, then destroy.
class GrpcServer {
 public:
  // grpc.health.v1 says for "" and "tailor.v1.Ranker" what `health` says, to Check and to every
  // Watch. Unavailable when the address cannot be bound.
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(const GrpcServerOptions& options,
                                                           const GrpcServerParts& parts);
  virtual ~GrpcServer() = default;

  virtual int port() const = 0;
  // Closes the listener, lets calls in flight end, cancels those that are left after `grace`.
  // Returns when every call has been answered and every poller has ended.
  virtual void Shutdown(Duration grace) = 0;
};

}  // namespace tailor
