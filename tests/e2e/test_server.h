// SPDX-License-Identifier: Apache-2.0
// A whole server in this process, on free ports, over tiny variants made on the spot.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpcpp/channel.h"
#include "grpcpp/support/status.h"

#include "server/server.h"
#include "server/server_config.h"
#include "tailor/v1/admin.grpc.pb.h"
#include "tailor/v1/ranker.grpc.pb.h"
#include "tests/e2e/tiny_family.h"
#include "tests/testing/temp_folder.h"

namespace tailor::testing {

class TestServer {
 public:
  // Serves `folder`; addresses of `config` are replaced by free ports. Ready unless `warm` is off.
  TestServer(const std::filesystem::path& folder, ServerConfig config, bool warm = true,
             const ServerHooks& hooks = {});

  Server& server() { return *server_; }
  v1::Ranker::Stub& ranker() { return *ranker_; }
  v1::Admin::Stub& admin() { return *admin_; }
  const std::shared_ptr<grpc::Channel>& channel() { return channel_; }

  grpc::Status Rank(const v1::RankRequest& request, v1::RankResponse* response);
  // Body of an HTTP page.
  std::string Page(const std::string& path);
  // Sum of a metric's samples whose labels contain `labels`.
  double Metric(const std::string& name, const std::string& labels = "");

 private:
  SteadyClock clock_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Ranker::Stub> ranker_;
  std::unique_ptr<v1::Admin::Stub> admin_;
};

v1::RankRequest RankRequestOf(const std::string& query, const std::vector<std::string>& documents);

google::rpc::Status DetailsOf(const grpc::Status& status);
// The reason and metadata of a refusal.
google::rpc::ErrorInfo ErrorInfoOf(const grpc::Status& status);

}  // namespace tailor::testing
