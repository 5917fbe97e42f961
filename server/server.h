// SPDX-License-Identifier: Apache-2.0
// The whole server: engine, pipeline, telemetry and listeners, built in order and taken down in
// order.
#pragma once

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "base/clock.h"
#include "engine/backend_factory.h"
#include "server/server_config.h"

namespace tailor {

struct ServerHooks {
  BackendFactory create_backend = CreateBackend;
  // Called once, with what the backend said, when the device is lost: the server is not ready any
  // more, every call is refused, and the process should end. On any thread; must not wait.
  std::function<void(const absl::Status&)> on_device_lost = [](const absl::Status&) {};
};

// Start, WarmUp, then BeginDrain and Shutdown. One thread calls these; what the listeners do is
// thread-safe.
class Server {
 public:
  // Loads the family and listens. Not ready yet: calls are refused as NOT_READY. Fails, with one
  // line that says what to change, when the folder, the backend, the policy or an address cannot
  // be had, and as kDeviceLost; a family of which no variant can be loaded starts and never becomes
  // ready.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerConfig& config,
                                                       const Clock* clock,
                                                       const ServerHooks& hooks = {});
  virtual ~Server() = default;

  // Measures every variant, writes the start-up plan to the log, and makes the server ready.
  virtual absl::Status WarmUp() = 0;

  virtual int grpc_port() const = 0;
  virtual int http_port() const = 0;  // 0: no HTTP
  virtual bool is_ready() const = 0;

  // Not ready from now on, for those who ask; calls are still answered.
  virtual void BeginDrain() = 0;
  // Refuses new calls, ends those in flight within the configured grace, stops the listeners. After
  // the loss of the device the grace is a second: refusals have to get home, and nothing else.
  virtual void Shutdown() = 0;
};

}  // namespace tailor
