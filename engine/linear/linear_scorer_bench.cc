// SPDX-License-Identifier: Apache-2.0
// Time of one pair: 12 query tokens, and a document of the given length.
#include <cmath>
#include <cstdint>
#include <vector>

#include "benchmark/benchmark.h"

#include "engine/linear/linear_scorer.h"

namespace tailor {
namespace {

constexpr int kVocabulary = 12154;
constexpr int kQueryTokens = 12;

TensorView View(const std::vector<float>& values) {
  return {.data = reinterpret_cast<const std::byte*>(values.data()),
          .shape = {static_cast<int64_t>(values.size())}};
}

void BM_Score(benchmark::State& state) {
  const std::vector<float> dense(kDenseFeatures, 0.5F);
  const std::vector<float> hashed(size_t{1} << 18, 0.1F);
  const std::vector<float> idf(kVocabulary, 3.0F);
  LinearScorer scorer({.spec = {.bits = 18, .hash_seed = 1, .average_length = 60},
                       .dense = View(dense),
                       .hashed = View(hashed),
                       .idf = View(idf)},
                      512);
  // As words of text, some tokens are common and most are rare; documents repeat the query's.
  std::vector<int32_t> ids;
  std::vector<int32_t> types;
  uint32_t random = 1;
  for (int64_t i = 0; i < kQueryTokens + state.range(0) + 3; ++i) {
    random = random * 1664525U + 1013904223U;
    const double share = static_cast<double>(random >> 8) / 16777216.0;
    ids.push_back(static_cast<int32_t>(5 + (kVocabulary - 5) * share * share * share));
    types.push_back(i < kQueryTokens + 2 ? 0 : 1);
  }
  for (auto _ : state) benchmark::DoNotOptimize(scorer.Score(ids, types));
}
BENCHMARK(BM_Score)->Arg(16)->Arg(64)->Arg(113)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace tailor

BENCHMARK_MAIN();
