// SPDX-License-Identifier: Apache-2.0
// What recording costs: everything that a Rank call adds to the shards, and one scrape.
#include <chrono>
#include <string>

#include "benchmark/benchmark.h"

#include "server/telemetry/recorder.h"
#include "server/telemetry/render_metrics.h"

namespace tailor {
namespace {

constexpr int kVariants = 21;  // as the bundled family has
constexpr Duration kShort = std::chrono::microseconds(30);
constexpr Duration kLong = std::chrono::milliseconds(7);
constexpr Duration kBudget = std::chrono::milliseconds(20);

RecorderOptions Options() {
  RecorderOptions options;
  for (int i = 0; i < kVariants; ++i) {
    options.variants.push_back({.id = "variant-" + std::to_string(i)});
  }
  return options;
}

// A call that is alone in its batch, in the order of the pipeline.
void RecordCall(Recorder* recorder, int variant) {
  recorder->BeginRpc(RpcMethod::kRank);
  recorder->RecordParse(kShort);
  recorder->RecordTokenize(kShort);
  recorder->RecordRequest(32, 2688);
  recorder->SetQueue(0, 1, 2688);
  recorder->SetQueue(0, 0, 0);
  recorder->SetBackstop(1);
  recorder->RecordBound(variant, 0, kShort, 0);
  recorder->RecordBatch({.variant = variant,
                         .pairs = 32,
                         .tokens = 2688,
                         .batch_seconds = 30e-6,
                         .engine_seconds = 7e-3,
                         .predicted_seconds = 7.1e-3,
                         .modeled_seconds = 6.9e-3});
  recorder->RecordPost(variant, kShort);
  recorder->RecordReply(kShort);
  recorder->EndRpc(RpcMethod::kRank, Outcome::kOk, kLong, kBudget);
}

void BM_OneCall(benchmark::State& state) {
  Recorder recorder(Options());
  int variant = 0;
  for (auto _ : state) {
    RecordCall(&recorder, variant);
    variant = (variant + 1) % kVariants;
  }
}
BENCHMARK(BM_OneCall);

void BM_Scrape(benchmark::State& state) {
  Recorder recorder(Options());
  for (int i = 0; i < kVariants; ++i) RecordCall(&recorder, i);
  for (auto _ : state) benchmark::DoNotOptimize(RenderMetrics(recorder));
}
BENCHMARK(BM_Scrape)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace tailor

BENCHMARK_MAIN();
