// SPDX-License-Identifier: Apache-2.0
#include "tests/e2e/test_server.h"

#include <sstream>

#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "httplib.h"

#include "base/check.h"
#include "base/log.h"

namespace tailor::testing {

TestServer::TestServer(const std::filesystem::path& folder, ServerConfig config, bool warm,
                       const ServerHooks& hooks) {
  config.family = folder.string();
  config.listen = "127.0.0.1:0";
  config.http_listen = "127.0.0.1:0";
  config.threads = 1;
  InitLogging(LogLevel::kError, LogFormat::kText);
  absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(config, &clock_, hooks);
  if (!server.ok()) std::fprintf(stderr, "%s\n", server.status().ToString().c_str());
  TAILOR_CHECK(server.ok());
  server_ = *std::move(server);
  if (warm) TAILOR_CHECK(server_->WarmUp().ok());
  channel_ = grpc::CreateChannel("127.0.0.1:" + std::to_string(server_->grpc_port()),
                                 grpc::InsecureChannelCredentials());
  ranker_ = v1::Ranker::NewStub(channel_);
  admin_ = v1::Admin::NewStub(channel_);
}

grpc::Status TestServer::Rank(const v1::RankRequest& request, v1::RankResponse* response) {
  grpc::ClientContext context;
  return ranker_->Rank(&context, request, response);
}

std::string TestServer::Page(const std::string& path) {
  httplib::Client client("127.0.0.1", server_->http_port());
  const httplib::Result result = client.Get(path.c_str());
  TAILOR_CHECK(result);
  return result->body;
}

double TestServer::Metric(const std::string& name, const std::string& labels) {
  std::istringstream lines(Page("/metrics"));
  double sum = 0;
  for (std::string line; std::getline(lines, line);) {
    const bool is_sample = line.starts_with(name + "{") || line.starts_with(name + " ");
    if (!is_sample || line.find(labels) == std::string::npos) continue;
    sum += std::stod(line.substr(line.rfind(' ') + 1));
  }
  return sum;
}

v1::RankRequest RankRequestOf(const std::string& query, const std::vector<std::string>& documents) {
  v1::RankRequest request;
  request.set_query(query);
  for (const std::string& document : documents) request.add_documents(document);
  request.mutable_options()->set_latency_budget_us(30'000'000);
  return request;
}

google::rpc::Status DetailsOf(const grpc::Status& status) {
  google::rpc::Status details;
  TAILOR_CHECK(details.ParseFromString(status.error_details()));
  return details;
}

google::rpc::ErrorInfo ErrorInfoOf(const grpc::Status& status) {
  google::rpc::ErrorInfo info;
  const google::rpc::Status details = DetailsOf(status);
  if (details.details_size() > 0) details.details(0).UnpackTo(&info);
  return info;
}

}  // namespace tailor::testing
