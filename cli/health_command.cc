// SPDX-License-Identifier: Apache-2.0
#include "cli/health_command.h"

#include <cstdio>
#include <memory>
#include <string>

#include "httplib.h"

namespace tailor {
namespace {

constexpr int kExitUnavailable = 69;
constexpr int kTimeoutSeconds = 3;

int CheckHealth(const std::string& address) {
  httplib::Client client("http://" + address);
  client.set_connection_timeout(kTimeoutSeconds);
  client.set_read_timeout(kTimeoutSeconds);
  const httplib::Result answer = client.Get("/healthz");
  if (!answer) {
    std::fprintf(stderr, "health: no answer from %s: %s\n", address.c_str(),
                 httplib::to_string(answer.error()).c_str());
    return kExitUnavailable;
  }
  std::printf("%s\n", answer->body.c_str());
  return answer->status == 200 ? 0 : kExitUnavailable;
}

}  // namespace

void AddHealthCommand(CLI::App& app, int* exit_code) {
  CLI::App* command = app.add_subcommand("health", "Ask a server whether it is ready");
  auto address = std::make_shared<std::string>("127.0.0.1:8080");
  command->add_option("--http", *address, "HTTP address of the server")
      ->envname("TAILOR_HTTP_LISTEN")
      ->capture_default_str();
  command->callback([address, exit_code] { *exit_code = CheckHealth(*address); });
}

}  // namespace tailor
