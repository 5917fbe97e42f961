// SPDX-License-Identifier: Apache-2.0
// The HTTP listener for people and monitoring: /metrics, /healthz, /statusz.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace tailor {

struct HttpServerOptions {
  std::string listen = "127.0.0.1:8080";  // port 0: any free one
  int threads = 2;
};

// What the pages show. Called on the listener's threads, at the same time.
struct HttpSources {
  std::function<std::string()> metrics;    // Prometheus text
  std::function<std::string()> state;      // "starting", "ready", "draining"
  std::function<nlohmann::json()> status;  // see status_page.h
};

// Thread-safe. Destruction stops the listener and joins its threads.
class HttpServer {
 public:
  // AlreadyExists when the address cannot be bound; InvalidArgument when it is not host:port.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const HttpServerOptions& options,
                                                           HttpSources sources);
  virtual ~HttpServer() = default;

  virtual int port() const = 0;
};

}  // namespace tailor
