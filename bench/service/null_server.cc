// SPDX-License-Identifier: Apache-2.0
// The whole server but for its engine and its texts: gRPC, admission, queue, selector and worker
// over a backend that takes no time, with variants between which there is something to choose.
// `null_server PORT_FILE` listens on a free loopback port, writes it into PORT_FILE, and answers
// until it is killed. What it uses beyond echo_server is what a call costs besides the engine.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "server/pipeline/ranker.h"
#include "server/rpc/grpc_server.h"
#include "tests/testing/pipeline_harness.h"

namespace tailor {
namespace {

constexpr int kVariants = 16;

class NullBackend final : public Backend {
 public:
  const BackendInfo& info() const override { return info_; }
  absl::StatusOr<LoadedCut> Load(const ModelPackage&) override {
    return absl::UnimplementedError("load: there is nothing to load");
  }
  absl::Status Run(Cut, const Batch&, std::span<float> outputs) override {
    std::fill(outputs.begin(), outputs.end(), 0.5F);
    return absl::OkStatus();
  }

 private:
  const BackendInfo info_{.device = "none", .isa = "none", .threads = 1, .cores = {}, .limits = {}};
};

std::vector<FakeVariant> Family() {
  std::vector<FakeVariant> family;
  for (int i = 0; i < kVariants; ++i) {
    family.push_back({.id = "v" + std::to_string(i), .quality = 0.7 + 0.01 * i, .cost = {}});
  }
  return family;
}

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "null_server: %s\n", std::string(status.message()).c_str());
  return 1;
}

int Serve(const std::string& port_file) {
  const SteadyClock clock;
  const std::vector<FakeVariant> family = Family();
  Recorder recorder(MakeRecorderOptions(family));
  std::vector<std::unique_ptr<Backend>> backends;
  backends.push_back(std::make_unique<NullBackend>());
  absl::StatusOr<std::unique_ptr<Ranker>> ranker =
      Ranker::Create(RankerOptions(), MakeWordTokenizer(), MakeServed(family), std::move(backends),
                     &recorder, &clock);
  if (!ranker.ok()) return Fail(ranker.status());
  if (const absl::Status warm = (*ranker)->WarmUp(); !warm.ok()) return Fail(warm);
  Health health;
  health.MoveTo(HealthState::kReady);
  const ServerFacts facts;
  const absl::StatusOr<std::unique_ptr<GrpcServer>> server =
      GrpcServer::Start({.listen = "127.0.0.1:0", .limits = {}}, {.ranker = ranker->get(),
                                                                  .recorder = &recorder,
                                                                  .health = &health,
                                                                  .facts = &facts,
                                                                  .clock = &clock});
  if (!server.ok()) return Fail(server.status());
  std::ofstream(port_file) << (*server)->port() << "\n";
  for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
}

}  // namespace
}  // namespace tailor

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: null_server PORT_FILE\n");
    return 64;
  }
  return tailor::Serve(argv[1]);
}
