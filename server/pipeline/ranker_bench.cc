// SPDX-License-Identifier: Apache-2.0
// What the pipeline adds to an engine that takes no time: threads, queue, selection, callbacks.
#include <future>
#include <memory>
#include <vector>

#include "benchmark/benchmark.h"

#include "server/pipeline/ranker.h"
#include "tests/testing/pipeline_harness.h"

namespace tailor {
namespace {

std::vector<FakeVariant> Family() {
  return {{.id = "large", .quality = 0.9, .cost = {}}, {.id = "small", .quality = 0.7, .cost = {}}};
}

// One request at a time, from Submit to its callback on the worker's thread and back.
void BM_SubmitToAnswer(benchmark::State& state) {
  const SteadyClock clock;
  Recorder recorder(MakeRecorderOptions(Family()));
  RankerOptions options;
  std::vector<std::unique_ptr<Backend>> backends;
  backends.push_back(
      std::make_unique<FakeBackend>(std::vector<FakeCost>(2), options.limits, nullptr));
  auto ranker = Ranker::Create(options, MakeWordTokenizer(), MakeServed(Family()),
                               std::move(backends), &recorder, &clock);
  if (!ranker.ok() || !(*ranker)->WarmUp().ok()) {
    state.SkipWithError("no pipeline");
    return;
  }
  const CallOptions call_options{.documents = static_cast<int>(state.range(0)), .tokens = 64};
  const auto call = MakeCall(call_options);
  for (auto _ : state) {
    std::promise<bool> answered;
    (*ranker)->Submit(
        MakeRequest(*call, call_options, clock.Now()),
        [&answered](const absl::StatusOr<Answer>& answer) { answered.set_value(answer.ok()); });
    if (!answered.get_future().get()) {
      state.SkipWithError("refused");
      return;
    }
  }
}
BENCHMARK(BM_SubmitToAnswer)->Arg(1)->Arg(32)->UseRealTime()->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace tailor

BENCHMARK_MAIN();
