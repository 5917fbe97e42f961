// SPDX-License-Identifier: Apache-2.0
// `serve_losing_device FAMILY PORT_FILE LOSS_FILE`: `tailor serve` on a backend that loses its
// device in the first batch after LOSS_FILE exists; for test_device_loss.py.
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>

#include "server/serve.h"
#include "server/server_config.h"
#include "tests/e2e/losing_backend.h"

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: serve_losing_device FAMILY PORT_FILE LOSS_FILE\n");
    return 64;
  }
  tailor::ServerConfig config;
  config.family = argv[1];
  config.listen = "127.0.0.1:0";
  config.http_listen = "127.0.0.1:0";
  config.port_file = argv[2];
  config.threads = 1;
  config.live_quality_share = 0;  // a review would find the loss before a caller does
  config.drain_delay = std::chrono::hours(1);
  const std::string loss_file = argv[3];
  return tailor::Serve(
      config, tailor::testing::LosingBackends([&] { return std::filesystem::exists(loss_file); }));
}
