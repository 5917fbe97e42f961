// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/grpc_server.h"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "google/protobuf/stubs/logging.h"
#include "grpc/support/log.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/impl/server_builder_option.h"
#include "grpcpp/impl/server_builder_plugin.h"
#include "grpcpp/resource_quota.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"

#include "base/log.h"
#include "server/rpc/admin_service.h"
#include "server/rpc/call_queue.h"
#include "server/rpc/health_service.h"
#include "server/rpc/ranker_service.h"

namespace tailor {
namespace {

// gRPC refuses a message above its own limit with a bare RESOURCE_EXHAUSTED, and only once it has
// the whole of it in memory. So it has none: ours gives the reason (TOO_LARGE), and what bounds the
// memory that absurd messages take is the quota, above which calls are reset. That many messages of
// the limit's size fit into it.
constexpr int64_t kLimitFactor = 4;
constexpr int kNoLimit = -1;

// The text of gRPC and protobuf about bad input would flood standard error line by line.
void RouteLibraryLogs() {
  static std::once_flag once;
  std::call_once(once, [] {
    gpr_set_log_function([](gpr_log_func_args* args) {
      Log(LogLevel::kDebug, "grpc", {{"message", args->message}});
    });
    google::protobuf::SetLogHandler(
        [](google::protobuf::LogLevel, const char*, int, const std::string& message) {
          Log(LogLevel::kDebug, "protobuf", {{"message", message}});
        });
  });
}

// The reflection library registers itself with every server by being linked.
class WithoutReflection final : public grpc::ServerBuilderOption {
 public:
  void UpdateArguments(grpc::ChannelArguments*) override {}
  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>* plugins) override {
    std::erase_if(*plugins, [](const std::unique_ptr<grpc::ServerBuilderPlugin>& plugin) {
      return plugin->name() == "proto_server_reflection";
    });
  }
};

void ApplyLimits(const GrpcServerOptions& options, grpc::ServerBuilder* builder) {
  builder->SetMaxReceiveMessageSize(kNoLimit);
  // A small compressed frame may inflate to hundreds of megabytes before its size is looked at.
  builder->SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
  builder->SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  // The default lets two servers share one port without a word.
  builder->AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder->AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 256);
  builder->AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 5'000);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 60'000);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 30'000);
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 2);
  builder->AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, 15 * 60'000);
  const int64_t quota =
      std::max(options.max_buffered_bytes, options.limits.max_message_bytes * kLimitFactor);
  builder->SetResourceQuota(grpc::ResourceQuota("tailor").Resize(static_cast<size_t>(quota)));
  // Reflection is the only synchronous service; gRPC sizes its threads by the host otherwise.
  builder->SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
  builder->SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
  builder->SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 1);
}

class AsyncGrpcServer final : public GrpcServer {
 public:
  AsyncGrpcServer(const GrpcServerParts& parts, const RequestLimits& limits)
      : ranker_service_(parts.ranker, parts.recorder, parts.clock, limits),
        admin_service_(parts.ranker, parts.facts, parts.health, parts.recorder, parts.clock,
                       limits),
        health_service_(parts.health),
        methods_(ranker_service_.Methods()) {
    for (UnaryCall::Method& method : admin_service_.Methods()) {
      methods_.push_back(std::move(method));
    }
    for (UnaryCall::Method& method : health_service_.Methods()) {
      methods_.push_back(std::move(method));
    }
  }

  absl::Status Start(const GrpcServerOptions& options) {
    grpc::ServerBuilder builder;
    ApplyLimits(options, &builder);
    if (!options.reflection) builder.SetOption(std::make_unique<WithoutReflection>());
    builder.AddListeningPort(options.listen, grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(ranker_service_.service());
    builder.RegisterService(admin_service_.service());
    builder.RegisterService(health_service_.service());
    for (int i = 0; i < options.pollers; ++i) {
      queues_.push_back(std::make_unique<CallQueue>(builder.AddCompletionQueue()));
    }
    server_ = builder.BuildAndStart();
    if (server_ == nullptr) {
      for (auto& queue : queues_) queue->Shut();
      return absl::UnavailableError(absl::StrCat("listen: cannot bind ", options.listen,
                                                 ": it is in use or no local address"));
    }
    for (size_t i = 0; i < queues_.size(); ++i) {
      for (const UnaryCall::Method& method : methods_) {
        for (int n = 0; n < method.posted; ++n) UnaryCall::Post(&method, queues_[i].get());
      }
      health_service_.PostWatches(queues_[i].get());
      queues_[i]->StartPoller(absl::StrCat("rpc-poll-", i));
    }
    return absl::OkStatus();
  }

  int port() const override { return port_; }

  void Shutdown(Duration grace) override {
    health_service_.EndWatches();
    server_->Shutdown(std::chrono::system_clock::now() +
                      std::chrono::duration_cast<std::chrono::microseconds>(grace));
    for (auto& queue : queues_) queue->Shut();
  }

 private:
  RankerService ranker_service_;
  AdminService admin_service_;
  HealthService health_service_;
  std::vector<UnaryCall::Method> methods_;
  std::vector<std::unique_ptr<CallQueue>> queues_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(const GrpcServerOptions& options,
                                                              const GrpcServerParts& parts) {
  RouteLibraryLogs();
  grpc::EnableDefaultHealthCheckService(false);  // ours is better; see health_service.h
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  auto server = std::make_unique<AsyncGrpcServer>(parts, options.limits);
  const absl::Status started = server->Start(options);
  if (!started.ok()) return started;
  return server;
}

}  // namespace tailor
