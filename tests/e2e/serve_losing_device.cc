// SPDX-License-Identifier: Apache-2.0
// `serve_losing_device FAMILY PORT_FILE LOSS_FILE`: `tailor serve` on a cpu backend that loses its
// device in the first batch after LOSS_FILE exists; for test_device_loss.py. A batch after that one
// ends the process with a signal.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "base/status_macros.h"
#include "engine/backend_factory.h"
#include "server/serve.h"
#include "server/server_config.h"

namespace tailor {
namespace {

class LosingBackend final : public Backend {
 public:
  LosingBackend(std::unique_ptr<Backend> inner, std::filesystem::path loss_file)
      : inner_(std::move(inner)), loss_file_(std::move(loss_file)), info_(inner_->info()) {
    info_.notice = "about to be lost";
  }

  const BackendInfo& info() const override { return info_; }
  absl::StatusOr<LoadedCut> Load(const ModelPackage& package) override {
    return inner_->Load(package);
  }
  absl::Status Run(Cut cut, const Batch& batch, std::span<float> outputs) override {
    if (is_lost_) std::abort();
    is_lost_ = std::filesystem::exists(loss_file_);
    if (is_lost_) return absl::UnavailableError("expected a device, got none");
    return inner_->Run(cut, batch, outputs);
  }

 private:
  const std::unique_ptr<Backend> inner_;
  const std::filesystem::path loss_file_;
  BackendInfo info_;
  bool is_lost_ = false;
};

int Run(const std::string& family, const std::string& port_file, const std::string& loss_file) {
  ServerConfig config;
  config.family = family;
  config.listen = "127.0.0.1:0";
  config.http_listen = "127.0.0.1:0";
  config.port_file = port_file;
  config.threads = 1;
  config.live_quality_share = 0;  // a review would find the loss before a caller does
  config.drain_delay = std::chrono::hours(1);
  return Serve(config,
               [&](const BackendOptions& options) -> absl::StatusOr<std::unique_ptr<Backend>> {
                 TAILOR_ASSIGN_OR_RETURN(std::unique_ptr<Backend> inner, CreateBackend(options));
                 return std::make_unique<LosingBackend>(std::move(inner), loss_file);
               });
}

}  // namespace
}  // namespace tailor

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: serve_losing_device FAMILY PORT_FILE LOSS_FILE\n");
    return 64;
  }
  return tailor::Run(argv[1], argv[2], argv[3]);
}
