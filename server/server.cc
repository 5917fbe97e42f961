// SPDX-License-Identifier: Apache-2.0
#include "server/server.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/status_macros.h"
#include "base/thread.h"
#include "server/cost_file.h"
#include "server/http/http_server.h"
#include "server/http/status_page.h"
#include "server/pipeline/cascade.h"
#include "server/pipeline/ranker.h"
#include "server/pipeline/server_facts.h"
#include "server/rpc/grpc_server.h"
#include "server/telemetry/health.h"
#include "server/telemetry/process_stats.h"
#include "server/telemetry/recorder.h"
#include "server/telemetry/render_metrics.h"
#include "server/variant_loading.h"

namespace tailor {
namespace {

constexpr Duration kLossGrace = std::chrono::seconds(1);
constexpr int kMaxDefaultPollers = 2;  // the network is not what limits a ranking server

ServerFacts FactsOf(const LoadedFamily& family, const ServerConfig& config, TimePoint started) {
  ServerFacts facts;
  facts.version = TAILOR_VERSION;
  facts.family = family.id;
  facts.device = family.backend->info().device;
  facts.isa = family.backend->info().isa;
  facts.notice = family.backend->info().notice;
  facts.threads = family.backend->info().threads;
  facts.cores = family.backend->info().cores;
  facts.policy = config.policy;
  facts.started = started;
  facts.refused = family.refused;
  return facts;
}

RecorderOptions RecorderOptionsOf(const LoadedFamily& family) {
  RecorderOptions options;
  options.version = TAILOR_VERSION;
  options.isa = family.backend->info().isa;
  options.cores = AvailableCores();
  for (const ServedVariant& variant : family.variants) {
    options.variants.push_back({.id = variant.id,
                                .format = std::string(WeightFormatName(variant.format)),
                                .device = family.backend->info().device,
                                .layers = variant.num_layers,
                                .bytes = static_cast<int64_t>(variant.loaded.packed_bytes)});
  }
  return options;
}

RankerOptions RankerOptionsOf(const ServerConfig& config, const BatchLimits& limits,
                              const FamilyCalibration& calibration) {
  RankerOptions options;
  options.policy = config.policy;
  options.limits = limits;
  options.tokenizer_threads = config.tokenizer_threads;
  options.max_queued_requests = config.max_queued_requests;
  options.max_queued_tokens = config.max_queued_tokens;
  options.reply_margin = config.reply_margin;
  options.safety = config.safety;
  options.cascade = calibration.cascades;
  options.live_quality.share = config.live_quality_share;
  options.live_quality.expected = calibration.agreement;
  return options;
}

GrpcServerOptions GrpcOptionsOf(const ServerConfig& config) {
  GrpcServerOptions options;
  options.listen = config.listen;
  options.pollers =
      config.pollers > 0 ? config.pollers : std::min(kMaxDefaultPollers, AvailableCores());
  options.reflection = config.reflection;
  options.max_buffered_bytes = config.max_buffered_bytes;
  options.limits = {.max_documents = config.max_documents,
                    .max_document_bytes = config.max_document_bytes,
                    .max_message_bytes = config.max_message_bytes,
                    .default_budget = config.default_budget};
  return options;
}

// What an earlier run measured, as the prior of each variant. A file that says nothing here is no
// reason not to start.
void ReadPriors(const ServerConfig& config, const CostHost& host,
                std::vector<ServedVariant>* variants) {
  if (config.cost_file.empty()) return;
  const absl::StatusOr<std::vector<KnownCost>> known = ReadCostFile(config.cost_file, host);
  if (absl::IsNotFound(known.status())) return;
  if (!known.ok()) {
    Log(LogLevel::kWarning, "cost file ignored",
        {{"problem", std::string(known.status().message())}});
    return;
  }
  const int count = SetPriors(*known, *variants);
  Log(LogLevel::kInfo, "costs of an earlier run",
      {{"file", config.cost_file}, {"known", count}, {"variants", variants->size()}});
}

class RunningServer final : public Server {
 public:
  RunningServer(const ServerConfig& config, LoadedFamily family, TimePoint started,
                const Clock* clock, const ServerHooks& hooks)
      : config_(config),
        hooks_(hooks),
        clock_(clock),
        facts_(FactsOf(family, config, started)),
        cost_host_(CostHostOf(family.backend->info(), TAILOR_VERSION)),
        recorder_(RecorderOptionsOf(family)),
        family_(std::move(family)) {}

  ~RunningServer() override {
    if (grpc_ != nullptr && !shut_) grpc_->Shutdown(Duration(0));
  }

  absl::Status Listen() {
    health_.Observe([this](HealthState state) {
      recorder_.SetHealth(state == HealthState::kReady, state == HealthState::kDraining);
    });
    if (!family_.variants.empty()) {
      ReadPriors(config_, cost_host_, &family_.variants);
      const BatchLimits limits = family_.backend->info().limits;
      std::vector<std::unique_ptr<Backend>> backends;
      backends.push_back(std::move(family_.backend));
      RankerOptions options = RankerOptionsOf(config_, limits, family_.calibration);
      options.on_device_lost = [this](const absl::Status& problem) { OnDeviceLost(problem); };
      TAILOR_ASSIGN_OR_RETURN(
          ranker_, Ranker::Create(options, family_.tokenizer, std::move(family_.variants),
                                  std::move(backends), &recorder_, clock_));
    }
    TAILOR_ASSIGN_OR_RETURN(grpc_,
                            GrpcServer::Start(GrpcOptionsOf(config_), {.ranker = ranker_.get(),
                                                                       .recorder = &recorder_,
                                                                       .health = &health_,
                                                                       .facts = &facts_,
                                                                       .clock = clock_}));
    if (config_.http_listen.empty()) return absl::OkStatus();
    TAILOR_ASSIGN_OR_RETURN(
        http_, HttpServer::Start({.listen = config_.http_listen, .threads = config_.http_threads},
                                 {.metrics = [this] { return RenderMetrics(recorder_); },
                                  .state = [this] { return StateName(); },
                                  .status = [this] { return Status(); }}));
    return absl::OkStatus();
  }

  absl::Status WarmUp() override {
    if (ranker_ == nullptr) {
      Log(LogLevel::kError, "not ready: no variant of the family could be loaded",
          {{"family", facts_.family}, {"refused", facts_.refused.size()}});
      return absl::OkStatus();
    }
    TAILOR_RETURN_IF_ERROR(ranker_->WarmUp());
    KeepCosts();
    LogPlan();
    if (health_.MoveTo(HealthState::kReady)) {
      Log(LogLevel::kInfo, "ready", {{"start_s", ToSeconds(clock_->Now() - facts_.started)}});
    }
    return absl::OkStatus();
  }

  int grpc_port() const override { return grpc_->port(); }
  int http_port() const override { return http_ == nullptr ? 0 : http_->port(); }
  bool is_ready() const override { return health_.state() == HealthState::kReady; }

  void BeginDrain() override { health_.MoveTo(HealthState::kDraining); }

  void Shutdown() override {
    if (ranker_ != nullptr) ranker_->StopAdmitting();
    const bool has_failed = health_.state() == HealthState::kFailed;
    grpc_->Shutdown(has_failed ? std::min(kLossGrace, config_.drain_grace) : config_.drain_grace);
    shut_ = true;
    http_ = nullptr;
    if (ranker_ != nullptr && ranker_->Report().warm) KeepCosts();
  }

 private:
  void OnDeviceLost(const absl::Status& problem) {
    health_.MoveTo(HealthState::kFailed);
    Log(LogLevel::kError, "device lost",
        {{"device", facts_.device}, {"problem", std::string(problem.message())}});
    hooks_.on_device_lost(problem);
  }

  void KeepCosts() const {
    if (config_.cost_file.empty()) return;
    const absl::Status written =
        WriteCostFile(config_.cost_file, cost_host_,
                      CostsToKeep(ranker_->variants(), ranker_->Report().costs, recorder_));
    if (written.ok()) return;
    Log(LogLevel::kWarning, "costs not kept", {{"problem", std::string(written.message())}});
  }

  std::string StateName() const { return std::string(HealthStateName(health_.state())); }

  nlohmann::json Status() const {
    return StatusJson({.facts = &facts_,
                       .ranker = ranker_.get(),
                       .state = StateName(),
                       .now = clock_->Now(),
                       .resident_bytes = static_cast<int64_t>(ReadProcessStats().resident_bytes)});
  }

  // What runs here, so that a log alone explains later what was chosen.
  void LogPlan() const {
    const StatusReport report = ranker_->Report();
    for (size_t i = 0; i < ranker_->variants().size(); ++i) {
      const ServedVariant& variant = ranker_->variants()[i];
      nlohmann::json fields = {{"variant", variant.id},
                               {"format", std::string(WeightFormatName(variant.format))},
                               {"layers", variant.num_layers},
                               {"hidden", variant.hidden},
                               {"parameters", variant.num_parameters},
                               {"bytes", variant.loaded.packed_bytes},
                               {"ms_64_tokens", PredictedSeconds(report.costs[i], 1, 64) * 1e3},
                               {"ms_128_tokens", PredictedSeconds(report.costs[i], 1, 128) * 1e3},
                               {"on_ladder", static_cast<bool>(report.on_ladder[i])},
                               {"kernels", variant.loaded.kernels}};
      if (variant.quality) fields["quality"] = variant.quality->ndcg10;
      Log(LogLevel::kInfo, "variant", fields);
    }
    Log(LogLevel::kInfo, "plan",
        {{"version", facts_.version},
         {"family", facts_.family},
         {"variants", ranker_->variants().size()},
         {"refused", facts_.refused.size()},
         {"device", facts_.device},
         {"isa", facts_.isa},
         {"threads", facts_.threads},
         {"threads_from", config_.threads > 0 ? "option" : "quota and affinity"},
         {"pinned_to", facts_.cores},
         {"policy", facts_.policy},
         // Pairs of variants that calibration.json has; without the file there are none.
         {"cascades", family_.calibration.cascades == nullptr
                          ? size_t{0}
                          : family_.calibration.cascades->num_pairs()},
         {"grpc_port", grpc_port()},
         {"http_port", http_port()}});
  }

  const ServerConfig config_;
  const ServerHooks hooks_;
  const Clock* const clock_;
  const ServerFacts facts_;
  const CostHost cost_host_;
  Health health_;
  Recorder recorder_;
  LoadedFamily family_;  // handed to the ranker by Listen
  std::unique_ptr<GrpcServer> grpc_;
  std::unique_ptr<Ranker> ranker_;  // dies before gRPC does: its callbacks may still hold calls
  std::unique_ptr<HttpServer> http_;
  bool shut_ = false;
};

void LogDevice(const BackendInfo& info) {
  if (!info.choice.empty()) {
    Log(LogLevel::kInfo, "device chosen",
        {{"device", info.device}, {"isa", info.isa}, {"why", info.choice}});
  }
  if (!info.notice.empty()) {
    Log(LogLevel::kWarning, "device notice", {{"device", info.device}, {"notice", info.notice}});
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerConfig& config,
                                                      const Clock* clock,
                                                      const ServerHooks& hooks) {
  const TimePoint started = clock->Now();
  if (!config.cost_file.empty()) TAILOR_RETURN_IF_ERROR(CheckCostFile(config.cost_file));
  TAILOR_ASSIGN_OR_RETURN(LoadedFamily family, LoadFamily(config, hooks.create_backend));
  const Duration loading = clock->Now() - started;
  LogDevice(family.backend->info());
  const size_t num_variants = family.variants.size();
  auto server = std::make_unique<RunningServer>(config, std::move(family), started, clock, hooks);
  TAILOR_RETURN_IF_ERROR(server->Listen());
  Log(LogLevel::kInfo, "family loaded",
      {{"variants", num_variants}, {"load_s", ToSeconds(loading)}});
  return server;
}

}  // namespace tailor
