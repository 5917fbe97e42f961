// SPDX-License-Identifier: Apache-2.0
// Calls a server so seldom that every thread of it has gone to sleep in between, and prints what
// that costs: `idle_client ADDRESS CALLS GAP_MS` prints JSON with the distribution of the caller's
// time less the engine's (Execution.compute_us; 0 for the echo server), in microseconds.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "nlohmann/json.hpp"

#include "tailor/v1/ranker.grpc.pb.h"

namespace tailor {
namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::steady_clock;

constexpr int kWarmCalls = 3;  // connection set-up and first-use costs are not idle latency

struct Sample {
  double total_us = 0;
  double compute_us = 0;
};

bool CallOnce(v1::Ranker::Stub* stub, Sample* sample) {
  v1::RankRequest request;
  request.set_query("short query");
  request.add_documents("one short document");
  request.mutable_options()->set_latency_budget_us(1'000'000);
  v1::RankResponse response;
  grpc::ClientContext context;
  const auto start = steady_clock::now();
  const grpc::Status status = stub->Rank(&context, request, &response);
  const auto end = steady_clock::now();
  if (!status.ok()) {
    std::fprintf(stderr, "idle_client: %s\n", status.error_message().c_str());
    return false;
  }
  sample->total_us =
      static_cast<double>(duration_cast<std::chrono::nanoseconds>(end - start).count()) / 1e3;
  sample->compute_us = static_cast<double>(response.execution().compute_us());
  return true;
}

// Nearest-rank quantile.
double Quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  const double rank = std::ceil(q * static_cast<double>(values.size()));
  return values[static_cast<size_t>(std::max(1.0, rank)) - 1];
}

nlohmann::json Distribution(const std::vector<double>& values) {
  return {{"p50", Quantile(values, 0.5)},
          {"p90", Quantile(values, 0.9)},
          {"p99", Quantile(values, 0.99)},
          {"max", Quantile(values, 1.0)}};
}

int Measure(const std::string& address, int calls, int gap_ms) {
  const auto stub =
      v1::Ranker::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  std::vector<double> total;
  std::vector<double> beyond_engine;
  for (int i = 0; i < kWarmCalls + calls; ++i) {
    Sample sample;
    if (!CallOnce(stub.get(), &sample)) return 1;
    if (i >= kWarmCalls) {
      total.push_back(sample.total_us);
      beyond_engine.push_back(sample.total_us - sample.compute_us);
      std::this_thread::sleep_for(std::chrono::milliseconds(gap_ms));
    }
  }
  const nlohmann::json report = {{"calls", calls},
                                 {"gap_ms", gap_ms},
                                 {"total_us", Distribution(total)},
                                 {"beyond_engine_us", Distribution(beyond_engine)}};
  std::printf("%s\n", report.dump().c_str());
  return 0;
}

}  // namespace
}  // namespace tailor

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: idle_client ADDRESS CALLS GAP_MS\n");
    return 64;
  }
  return tailor::Measure(argv[1], std::max(1, std::atoi(argv[2])), std::atoi(argv[3]));
}
