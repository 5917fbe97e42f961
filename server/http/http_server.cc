// SPDX-License-Identifier: Apache-2.0
#include "server/http/http_server.h"

#include <sys/socket.h>

#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "httplib.h"

#include "base/thread.h"
#include "server/http/status_page.h"

namespace tailor {
namespace {

constexpr size_t kMaxBodyBytes = 1024;  // nothing here reads a body
constexpr int kHttpOk = 200;
constexpr int kHttpUnavailable = 503;

struct Address {
  std::string host;
  int port = 0;
};

// "host:port" or "[ipv6]:port".
std::optional<Address> ParseAddress(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  Address address{std::string(text.substr(0, colon)), 0};
  if (address.host.size() >= 2 && address.host.front() == '[' && address.host.back() == ']') {
    address.host = address.host.substr(1, address.host.size() - 2);
  }
  const bool is_number = absl::SimpleAtoi(std::string(text.substr(colon + 1)), &address.port);
  if (!is_number || address.host.empty() || address.port < 0 || address.port > 65535) {
    return std::nullopt;
  }
  return address;
}

class ListeningServer final : public HttpServer {
 public:
  ListeningServer(int threads, HttpSources sources) : sources_(std::move(sources)) {
    const auto count = static_cast<size_t>(threads);
    server_.new_task_queue = [count] { return new httplib::ThreadPool(count); };
    server_.set_payload_max_length(kMaxBodyBytes);
    // An idle kept-alive connection would hold one of the few threads.
    server_.set_keep_alive_max_count(1);
    server_.set_read_timeout(std::chrono::seconds(5));
    server_.set_write_timeout(std::chrono::seconds(5));
    // The library's default sets SO_REUSEPORT: two servers would share a port without a word.
    server_.set_socket_options([](int socket) {
      const int yes = 1;
      setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    });
    AddPages();
  }

  ~ListeningServer() override {
    server_.stop();
    thread_.Join();
  }

  absl::Status Listen(const std::string& listen) {
    const std::optional<Address> address = ParseAddress(listen);
    if (!address) {
      return absl::InvalidArgumentError(
          absl::StrCat("http-listen: expected host:port, got \"", listen, "\""));
    }
    if (address->port == 0) {
      port_ = server_.bind_to_any_port(address->host);
    } else if (server_.bind_to_port(address->host, address->port)) {
      port_ = address->port;
    }
    if (port_ <= 0) {
      return absl::AlreadyExistsError(
          absl::StrCat("http-listen: expected a free local address, got ", listen,
                       ", which is in use or not local"));
    }
    thread_ = Thread("http-listen", [this] { server_.listen_after_bind(); });
    // stop() before the listener runs would be lost.
    while (!server_.is_running()) std::this_thread::yield();
    return absl::OkStatus();
  }

  int port() const override { return port_; }

 private:
  void AddPages() {
    server_.Get("/metrics", [this](const httplib::Request&, httplib::Response& response) {
      response.set_content(sources_.metrics(), "text/plain; version=0.0.4; charset=utf-8");
    });
    server_.Get("/healthz", [this](const httplib::Request&, httplib::Response& response) {
      const std::string state = sources_.state();
      response.status = state == "ready" ? kHttpOk : kHttpUnavailable;
      response.set_content(state + "\n", "text/plain; charset=utf-8");
    });
    server_.Get("/statusz", [this](const httplib::Request& request, httplib::Response& response) {
      const nlohmann::json status = sources_.status();
      if (request.get_param_value("format") == "json") {
        response.set_content(status.dump(2, ' ', false, nlohmann::json::error_handler_t::replace),
                             "application/json");
      } else {
        response.set_content(StatusHtml(status), "text/html; charset=utf-8");
      }
    });
  }

  const HttpSources sources_;
  httplib::Server server_;
  int port_ = 0;
  Thread thread_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const HttpServerOptions& options,
                                                              HttpSources sources) {
  auto server = std::make_unique<ListeningServer>(options.threads, std::move(sources));
  if (absl::Status listening = server->Listen(options.listen); !listening.ok()) return listening;
  return server;
}

}  // namespace tailor
