// SPDX-License-Identifier: Apache-2.0
#include "server/serve_command.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "absl/status/status.h"
#include "nlohmann/json.hpp"

#include "base/clock.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/thread.h"
#include "server/server.h"
#include "server/server_config.h"

namespace tailor {
namespace {

// What the command line of `tailor serve` says.
struct ServeFlags {
  ConfigSources sources;
  bool check = false;
  bool print = false;
  bool print_docs = false;
};

// Waits for SIGTERM and SIGINT on a thread of its own: a handler could call nothing that drains.
// The first one before the server is ready ends the process at once, since there is nothing to
// drain; later the first starts the drain, and the second ends the process.
class SignalThread {
 public:
  // Before any other thread exists, so that all inherit the blocked signals.
  SignalThread() {
    sigemptyset(&signals_);
    for (const int signal : {SIGTERM, SIGINT, kStop}) sigaddset(&signals_, signal);
    pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
    thread_ = Thread("signals", [this] { Loop(); });
  }
  ~SignalThread() {
    kill(getpid(), kStop);
    thread_.Join();
  }
  SignalThread(const SignalThread&) = delete;
  SignalThread& operator=(const SignalThread&) = delete;

  // From now on there is something to drain.
  void SetServing() {
    const MutexLock lock(&mutex_);
    serving_ = true;
  }

  void WaitForFirst() {
    const MutexLock lock(&mutex_);
    while (!draining_) changed_.Wait(&mutex_);
  }

 private:
  static constexpr int kStop = SIGUSR2;

  void Loop() {
    for (;;) {
      int signal = 0;
      sigwait(&signals_, &signal);
      if (signal == kStop) return;
      const MutexLock lock(&mutex_);
      if (!serving_) {
        Log(LogLevel::kInfo, "stopped before it was ready", {{"signal", signal}});
        std::_Exit(kExitOk);
      }
      if (draining_) {
        Log(LogLevel::kWarning, "second signal: ends at once", {{"signal", signal}});
        std::_Exit(128 + signal);
      }
      draining_ = true;
      changed_.NotifyAll();
    }
  }

  sigset_t signals_{};
  Mutex mutex_;
  CondVar changed_;
  bool serving_ ABSL_GUARDED_BY(mutex_) = false;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  Thread thread_;
};

int Fail(const absl::Status& status, int exit_code) {
  std::fprintf(stderr, "tailor serve: %s\n", std::string(status.message()).c_str());
  return exit_code;
}

LogLevel LogLevelOf(const std::string& name) {
  if (name == "debug") return LogLevel::kDebug;
  if (name == "warning") return LogLevel::kWarning;
  if (name == "error") return LogLevel::kError;
  return LogLevel::kInfo;
}

LogFormat LogFormatOf(const std::string& name) {
  if (name == "text") return LogFormat::kText;
  if (name == "json") return LogFormat::kJson;
  return LogFormat::kAuto;
}

// Whole or not at all: a reader may poll for the file.
absl::Status WritePortFile(const std::string& path, const Server& server) {
  const std::string temporary = path + ".new";
  std::ofstream file(temporary, std::ios::trunc);
  file << nlohmann::json{{"grpc", server.grpc_port()}, {"http", server.http_port()}}.dump() << "\n";
  file.close();
  std::error_code error;
  if (file) std::filesystem::rename(temporary, path, error);
  if (!file || error) {
    return absl::InvalidArgumentError("port-file: expected a writable path, got " + path);
  }
  return absl::OkStatus();
}

int Drain(const ServerConfig& config, Server* server) {
  Log(LogLevel::kInfo, "draining",
      {{"delay_s", ToSeconds(config.drain_delay)}, {"grace_s", ToSeconds(config.drain_grace)}});
  server->BeginDrain();
  std::this_thread::sleep_for(config.drain_delay);
  server->Shutdown();
  Log(LogLevel::kInfo, "stopped");
  return kExitOk;
}

int Serve(const ServerConfig& config) {
  InitLogging(LogLevelOf(config.log_level), LogFormatOf(config.log_format));
  SignalThread signals;
  const SteadyClock clock;
  absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(config, &clock);
  // What keeps the server from starting is in its configuration or its surroundings.
  if (!server.ok()) return Fail(server.status(), kExitConfig);
  if (!config.port_file.empty()) {
    const absl::Status written = WritePortFile(config.port_file, **server);
    if (!written.ok()) return Fail(written, kExitConfig);
  }
  if (const absl::Status warm = (*server)->WarmUp(); !warm.ok()) return Fail(warm, kExitFailure);
  signals.SetServing();
  signals.WaitForFirst();
  return Drain(config, server->get());
}

int RunServe(const ServeFlags& flags) {
  if (flags.print_docs) {
    std::fputs(ConfigDocumentation().c_str(), stdout);
    return kExitOk;
  }
  absl::StatusOr<ServerConfig> config = ResolveConfig(flags.sources);
  if (!config.ok()) return Fail(config.status(), kExitConfig);
  if (flags.print) {
    std::fputs(PrintConfig(*config).c_str(), stdout);
    return kExitOk;
  }
  if (const absl::Status checked = CheckConfig(*config); !checked.ok()) {
    return Fail(checked, kExitConfig);
  }
  if (flags.check) {
    std::puts("configuration ok");
    return kExitOk;
  }
  return Serve(*config);
}

}  // namespace

void AddServeCommand(CLI::App& app, int* exit_code) {
  CLI::App* serve = app.add_subcommand("serve", "Serve a family over gRPC and HTTP.");
  const auto flags = std::make_shared<ServeFlags>();
  flags->sources.environment = [](const char* name) { return std::getenv(name); };
  if (const char* file = std::getenv("TAILOR_CONFIG")) flags->sources.file = file;
  serve->add_option("--config", flags->sources.file,
                    "File with options as keys (TOML or INI); also TAILOR_CONFIG.");
  for (const ConfigOption& option : ConfigOptions()) {
    serve
        ->add_option_function<std::string>(
            "--" + std::string(option.name),
            [flags, name = std::string(option.name)](const std::string& text) {
              flags->sources.flags.push_back({name, text});
            },
            std::string(option.help))
        ->type_name("")
        ->default_str(option.Format(ServerConfig{}));
  }
  serve->add_flag("--check-config", flags->check, "Check the configuration and end.");
  serve->add_flag("--print-config", flags->print, "Print the configuration as a file and end.");
  serve->add_flag("--print-config-docs", flags->print_docs, "Print docs/configuration.md and end.");
  serve->callback([flags, exit_code] { *exit_code = RunServe(*flags); });
}

}  // namespace tailor
