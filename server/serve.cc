// SPDX-License-Identifier: Apache-2.0
#include "server/serve.h"

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

#include "base/clock.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/thread.h"
#include "server/pipeline/refusal.h"
#include "server/server.h"

namespace tailor {
namespace {

// From the loss of the device to the end of the process: the orchestrator starts a new one.
constexpr std::chrono::seconds kLossLimit(4);

// What ends serving. SIGTERM and SIGINT, for which a thread of its own waits: a handler could call
// nothing that drains. The first one before the server is ready ends the process at once, since
// there is nothing to drain; later the first starts the drain, and the second ends the process.
// And the loss of the device.
class EndOfServing {
 public:
  // Before any other thread exists, so that all inherit the blocked signals.
  EndOfServing() {
    sigemptyset(&signals_);
    for (const int signal : {SIGTERM, SIGINT, kStop}) sigaddset(&signals_, signal);
    pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
    thread_ = Thread("signals", [this] { Loop(); });
  }
  ~EndOfServing() {
    kill(getpid(), kStop);
    thread_.Join();
  }
  EndOfServing(const EndOfServing&) = delete;
  EndOfServing& operator=(const EndOfServing&) = delete;

  // From now on there is something to drain.
  void SetServing() {
    const MutexLock lock(&mutex_);
    serving_ = true;
  }

  void OnDeviceLost(const absl::Status& problem) {
    const MutexLock lock(&mutex_);
    loss_ = problem;
    changed_.NotifyAll();
  }
  // OK while the device is there.
  absl::Status loss() {
    const MutexLock lock(&mutex_);
    return loss_;
  }

  void Wait() {
    const MutexLock lock(&mutex_);
    while (!draining_ && loss_.ok()) changed_.Wait(&mutex_);
  }
  // Until the device is lost, or for that long.
  void WaitForLoss(Duration most, const Clock& clock) {
    const TimePoint end = clock.Now() + most;
    const MutexLock lock(&mutex_);
    while (loss_.ok()) {
      const Duration left = end - clock.Now();
      if (left <= Duration::zero()) return;
      changed_.WaitFor(&mutex_, left);
    }
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
  absl::Status loss_ ABSL_GUARDED_BY(mutex_);
  Thread thread_;
};

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

// What is left of a lost device may hang whoever touches it: the process ends all the same.
void EndWithin(std::chrono::seconds limit) {
  std::thread([limit] {
    std::this_thread::sleep_for(limit);
    std::_Exit(kExitDevice);
  }).detach();
}

int FailLost(const absl::Status& loss) {
  return FailToServe(absl::UnavailableError(absl::StrCat("the device was lost: ", loss.message())),
                     kExitDevice);
}

void Drain(const ServerConfig& config, const Clock& clock, EndOfServing* end, Server* server) {
  Log(LogLevel::kInfo, "draining",
      {{"delay_s", ToSeconds(config.drain_delay)}, {"grace_s", ToSeconds(config.drain_grace)}});
  server->BeginDrain();
  end->WaitForLoss(config.drain_delay, clock);
}

}  // namespace

int FailToServe(const absl::Status& status, int exit_code) {
  std::fprintf(stderr, "tailor serve: %s\n", std::string(status.message()).c_str());
  return exit_code;
}

int Serve(const ServerConfig& config, const BackendFactory& create_backend) {
  InitLogging(LogLevelOf(config.log_level), LogFormatOf(config.log_format));
  EndOfServing end;
  const SteadyClock clock;
  absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(
      config, &clock,
      {.create_backend = create_backend, .on_device_lost = [&end](const absl::Status& problem) {
         EndWithin(kLossLimit);
         end.OnDeviceLost(problem);
       }});
  if (!server.ok()) {
    if (GetRefusal(server.status()).refusal == Refusal::kDeviceLost) {
      return FailLost(server.status());
    }
    // What keeps the server from starting is in its configuration or its surroundings.
    return FailToServe(server.status(), kExitConfig);
  }
  if (!config.port_file.empty()) {
    const absl::Status written = WritePortFile(config.port_file, **server);
    if (!written.ok()) return FailToServe(written, kExitConfig);
  }
  const absl::Status warm = (*server)->WarmUp();
  if (end.loss().ok()) {
    if (!warm.ok()) return FailToServe(warm, kExitFailure);
    end.SetServing();
    end.Wait();
  }
  if (end.loss().ok()) Drain(config, clock, &end, server->get());
  (*server)->Shutdown();
  if (const absl::Status loss = end.loss(); !loss.ok()) return FailLost(loss);
  Log(LogLevel::kInfo, "stopped");
  return kExitOk;
}

}  // namespace tailor
