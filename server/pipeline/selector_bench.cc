// SPDX-License-Identifier: Apache-2.0
// What one decision of a policy costs: 16 elastic variants of 12 sub-networks each, and a queue of
// up to 1,000 requests of mixed sizes and budgets. Counters: quantiles of single decisions, by the
// clock and by the thread's own time, which leaves out what interrupts it.
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "benchmark/benchmark.h"

#include "server/pipeline/selector.h"

namespace tailor {
namespace {

constexpr int kFamilies = 16;
constexpr int kSubNetworks = 12;
constexpr size_t kSnapshot = 128;  // as BatchQueue takes it

std::vector<VariantState> MakeVariants() {
  std::mt19937_64 random(1);
  std::vector<VariantState> variants;
  for (int family = 0; family < kFamilies; ++family) {
    const double cost = 1e-6 * std::pow(1.5, family);
    for (int part = 0; part < kSubNetworks; ++part) {
      const double share = (1.0 + part) / kSubNetworks;
      const double noise = 0.01 * static_cast<double>(random() % 1000) / 1000;
      variants.push_back({.quality = 0.9 - 0.4 * std::pow(cost * share * 1e6, -0.25) + noise,
                          .cost = {.fixed = 1e-4, .per_token = cost * share}});
    }
  }
  return variants;
}

struct Queue {
  std::vector<std::vector<int32_t>> lengths;
  std::vector<QueueEntry> entries;
  QueueTail tail;
};

Queue MakeQueue(int requests, TimePoint now, std::span<const VariantState> variants) {
  std::mt19937_64 random(2);
  Queue queue;
  queue.lengths.reserve(static_cast<size_t>(requests));
  for (int i = 0; i < requests; ++i) {
    queue.lengths.emplace_back(1 + random() % 32, 20 + static_cast<int32_t>(random() % 150));
    QueueEntry entry;
    entry.id = static_cast<uint64_t>(i);
    entry.arrival = now - std::chrono::milliseconds(random() % 5);
    entry.deadline = now + std::chrono::milliseconds(20 + random() % 2000);
    entry.admissible = AllVariants();
    for (const int32_t length : queue.lengths.back()) entry.total.Add(length);
    entry.waiting = entry.total;
    entry.lengths = queue.lengths.back();
    entry.cheapest = CheapestVariant(variants, entry.admissible, entry.waiting, {});
    queue.entries.push_back(entry);
  }
  std::sort(queue.entries.begin(), queue.entries.end(),
            [](const QueueEntry& a, const QueueEntry& b) { return a.deadline < b.deadline; });
  return queue;
}

double ThreadMicros() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return 1e6 * static_cast<double>(now.tv_sec) + 1e-3 * static_cast<double>(now.tv_nsec);
}

double QuantileOf(std::vector<double>* values, double quantile) {
  std::sort(values->begin(), values->end());
  return (*values)[static_cast<size_t>(quantile * static_cast<double>(values->size() - 1))];
}

void BM_Select(benchmark::State& state, const std::string& policy) {
  const std::vector<VariantState> fitted = MakeVariants();
  std::vector<std::string> ids;
  for (size_t i = 0; i < fitted.size(); ++i) ids.push_back(std::to_string(i));
  const std::unique_ptr<Selector> selector = *MakeSelector(policy, ids);
  TimePoint now{std::chrono::hours(1)};
  Queue queue = MakeQueue(static_cast<int>(state.range(0)), now, fitted);
  for (QueueEntry& entry : queue.entries) {
    entry.assigned = selector->OnArrival(entry, fitted, now);
  }
  const std::span<const QueueEntry> all(queue.entries);
  QueueTail tail;
  for (const QueueEntry& entry : all.subspan(std::min(kSnapshot, all.size()))) {
    ++tail.requests;
    tail.waiting.Add(entry.waiting);
  }
  tail.last_deadline = all.back().deadline;
  std::vector<VariantState> variants = fitted;
  std::mt19937_64 random(3);
  std::vector<double> micros;
  std::vector<double> thread_micros;
  for (auto _ : state) {
    // Ratios and the clock move between decisions, as they do in a server.
    variants[random() % variants.size()].cost.ratio =
        1 + 0.2 * static_cast<double>(random() % 100) / 100;
    now += std::chrono::microseconds(5);
    const double thread_start = ThreadMicros();
    const auto start = std::chrono::steady_clock::now();
    Selection selection = selector->Select({.entries = all.first(std::min(kSnapshot, all.size())),
                                            .limits = {},
                                            .num_workers = 1,
                                            .safety = 1.1,
                                            .tail = tail},
                                           variants, now);
    benchmark::DoNotOptimize(selection);
    micros.push_back(
        std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start)
            .count());
    thread_micros.push_back(ThreadMicros() - thread_start);
  }
  state.counters["p50_us"] = QuantileOf(&micros, 0.5);
  state.counters["p99_us"] = QuantileOf(&micros, 0.99);
  state.counters["thread_p50_us"] = QuantileOf(&thread_micros, 0.5);
  state.counters["thread_p99_us"] = QuantileOf(&thread_micros, 0.99);
}
BENCHMARK_CAPTURE(BM_Select, tailored, "tailored")->Arg(1)->Arg(32)->Arg(1000)->Iterations(2000);
BENCHMARK_CAPTURE(BM_Select, slackfit, "slackfit")->Arg(1000)->Iterations(2000);
BENCHMARK_CAPTURE(BM_Select, aimd, "aimd")->Arg(1000)->Iterations(2000);

}  // namespace
}  // namespace tailor

BENCHMARK_MAIN();
