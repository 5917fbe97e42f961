// SPDX-License-Identifier: Apache-2.0
// The floor of the service benchmarks: Tailor's own call template and completion queue, and nothing
// behind it. `echo_server PORT_FILE` listens on a free loopback port, writes it into PORT_FILE, and
// answers every tailor.v1.Ranker/Rank with its documents unscored, until it is killed.
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>

#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"

#include "server/rpc/call_queue.h"
#include "server/rpc/unary_call.h"
#include "tailor/v1/ranker.grpc.pb.h"

namespace tailor {
namespace {

using RawRanker = v1::Ranker::WithRawMethod_Rank<v1::Ranker::Service>;

constexpr int kPosted = 64;

void Echo(const UnaryCall::Ptr& call) {
  const auto* request = call->Parse<v1::RankRequest>();
  auto* response = call->NewMessage<v1::RankResponse>();
  const int documents = request == nullptr ? 0 : request->documents_size();
  for (int i = 0; i < documents; ++i) response->add_results()->set_index(i);
  call->Finish(*response);
}

int Serve(const std::string& port_file) {
  RawRanker service;
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  CallQueue queue(builder.AddCompletionQueue());
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  const UnaryCall::Method rank = {
      .request = [&service](
                     grpc::ServerContext* context, grpc::ByteBuffer* bytes,
                     UnaryCall::Writer* writer, grpc::ServerCompletionQueue* cq,
                     void* tag) { service.RequestRank(context, bytes, writer, cq, cq, tag); },
      .handle = Echo,
      .posted = kPosted};
  for (int i = 0; i < rank.posted; ++i) UnaryCall::Post(&rank, &queue);
  queue.StartPoller("echo-poll");
  std::ofstream(port_file) << port << "\n";
  server->Wait();
  return 0;
}

}  // namespace
}  // namespace tailor

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: echo_server PORT_FILE\n");
    return 64;
  }
  return tailor::Serve(argv[1]);
}
