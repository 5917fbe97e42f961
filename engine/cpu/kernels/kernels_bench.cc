// SPDX-License-Identifier: Apache-2.0
// One entry a kernel, for the best instruction set of the host unless --benchmark_filter picks one.
#include <string>
#include <vector>

#include "benchmark/benchmark.h"

#include "base/aligned_buffer.h"
#include "engine/cpu/cpu_isa.h"
#include "engine/cpu/kernel_table.h"

namespace tailor {
namespace {

constexpr int kRows = 128;

void BenchAttention(benchmark::State& state, const KernelSet& kernels) {
  const int tokens = static_cast<int>(state.range(0));
  const int head_dim = static_cast<int>(state.range(1));
  const int heads = 12;
  const size_t width = static_cast<size_t>(heads) * head_dim;
  AlignedBuffer<float> projected(3 * width * tokens);
  AlignedBuffer<float> context(width * tokens);
  AlignedBuffer<float> scratch(AttentionScratch(tokens, head_dim));
  for (auto _ : state) {
    kernels.attention({.query = projected.data(),
                       .key = projected.data() + width,
                       .value = projected.data() + 2 * width,
                       .query_stride = 3 * width,
                       .key_value_stride = 3 * width,
                       .num_queries = tokens,
                       .num_keys = tokens,
                       .num_heads = heads,
                       .head_dim = head_dim,
                       .scratch = scratch.data(),
                       .context = context.data()});
  }
  state.counters["flops"] = benchmark::Counter(4.0 * tokens * tokens * static_cast<double>(width),
                                               benchmark::Counter::kIsIterationInvariantRate);
}

// Numbers that differ: tiles of equal ones are faster to load.
void BenchHalfAttention(benchmark::State& state, const KernelSet& kernels) {
  const int tokens = static_cast<int>(state.range(0));
  const int head_dim = static_cast<int>(state.range(1));
  const int heads = 12;
  const size_t width = static_cast<size_t>(heads) * head_dim;
  AlignedBuffer<uint16_t> projected(3 * width * tokens);
  for (size_t i = 0; i < projected.size(); ++i) {
    projected[i] = static_cast<uint16_t>(0x3E00 + i * 2654435761U % 256);  // 0.125 to 0.5 of bf16
  }
  AlignedBuffer<float> context(width * tokens);
  AlignedBuffer<std::byte> scratch(HalfAttentionScratch(tokens, head_dim));
  for (auto _ : state) {
    kernels.half_attention({.query = projected.data(),
                            .key = projected.data() + width,
                            .value = projected.data() + 2 * width,
                            .query_stride = 3 * width,
                            .key_value_stride = 3 * width,
                            .num_queries = tokens,
                            .num_keys = tokens,
                            .num_heads = heads,
                            .head_dim = head_dim,
                            .scratch = scratch.data(),
                            .context = context.data(),
                            .tiles = {}});
  }
  state.counters["flops"] = benchmark::Counter(4.0 * tokens * tokens * static_cast<double>(width),
                                               benchmark::Counter::kIsIterationInvariantRate);
}

void BenchBiasGelu(benchmark::State& state, const KernelSet& kernels) {
  const int columns = static_cast<int>(state.range(0));
  AlignedBuffer<float> x(static_cast<size_t>(kRows) * columns);
  AlignedBuffer<float> bias(columns);
  for (auto _ : state) {
    kernels.bias_activation({.x = x.data(),
                             .bias = bias.data(),
                             .activation = KernelActivation::kGeluErf,
                             .rows = kRows,
                             .columns = columns,
                             .out = x.data()});
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(x.size()));
}

void BenchLayerNorm(benchmark::State& state, const KernelSet& kernels) {
  const int hidden = static_cast<int>(state.range(0));
  AlignedBuffer<float> x(static_cast<size_t>(kRows) * hidden);
  AlignedBuffer<float> residual(x.size());
  AlignedBuffer<float> vectors(hidden);
  for (auto _ : state) {
    kernels.bias_residual_layer_norm({.x = x.data(),
                                      .bias = vectors.data(),
                                      .residual = residual.data(),
                                      .gamma = vectors.data(),
                                      .beta = vectors.data(),
                                      .eps = 1e-12F,
                                      .rows = kRows,
                                      .hidden = hidden,
                                      .out = residual.data(),
                                      .tiles = {}});
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(x.size()));
}

void BenchEmbedding(benchmark::State& state, const KernelSet& kernels) {
  const int hidden = static_cast<int>(state.range(0));
  const int vocabulary = 11900;
  std::vector<int32_t> ids(kRows);
  for (int i = 0; i < kRows; ++i) ids[i] = i * 7919 % vocabulary;
  AlignedBuffer<float> words(static_cast<size_t>(vocabulary) * hidden);
  AlignedBuffer<float> positions(static_cast<size_t>(kRows) * hidden);
  AlignedBuffer<float> out(positions.size());
  AlignedBuffer<float> vectors(hidden);
  for (auto _ : state) {
    kernels.embed_layer_norm({.token_ids = ids.data(),
                              .type_ids = nullptr,
                              .first_position = 0,
                              .word_table = words.data(),
                              .position_table = positions.data(),
                              .type_table = nullptr,
                              .gamma = vectors.data(),
                              .beta = vectors.data(),
                              .eps = 1e-12F,
                              .rows = kRows,
                              .hidden = hidden,
                              .out = out.data(),
                              .tiles = {}});
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(out.size()));
}

void BenchQuantizeRows(benchmark::State& state, const KernelSet& kernels) {
  const int columns = static_cast<int>(state.range(0));
  AlignedBuffer<float> x(static_cast<size_t>(kRows) * columns);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 17);
  AlignedBuffer<int8_t> codes(x.size());
  AlignedBuffer<float> scales(kRows);
  for (auto _ : state) {
    kernels.quantize_rows({.x = x.data(),
                           .x_stride = static_cast<size_t>(columns),
                           .rows = kRows,
                           .columns = columns,
                           .fixed_scale = 0,
                           .codes = codes.data(),
                           .codes_stride = static_cast<size_t>(columns),
                           .scales = scales.data()});
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(x.size()));
}

void BenchScaleSums(benchmark::State& state, const KernelSet& kernels) {
  const int columns = static_cast<int>(state.range(0));
  AlignedBuffer<int32_t> sums(static_cast<size_t>(kRows) * columns);
  AlignedBuffer<float> out(sums.size());
  AlignedBuffer<float> vectors(columns);
  AlignedBuffer<float> scales(kRows);
  for (auto _ : state) {
    kernels.scale_sums({.sums = sums.data(),
                        .sums_stride = static_cast<size_t>(columns),
                        .row_scale = scales.data(),
                        .column_scale = vectors.data(),
                        .bias = vectors.data(),
                        .rows = kRows,
                        .columns = columns,
                        .out = out.data(),
                        .out_stride = static_cast<size_t>(columns)});
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(out.size()));
}

void BenchMultiplyCodes(benchmark::State& state, const KernelSet& kernels) {
  const int out = static_cast<int>(state.range(0));
  const int in = static_cast<int>(state.range(1));
  AlignedBuffer<int8_t> x(static_cast<size_t>(kRows) * in);
  AlignedBuffer<int8_t> weight(static_cast<size_t>(out) * in);
  AlignedBuffer<int32_t> sums(static_cast<size_t>(kRows) * out);
  for (auto _ : state) {
    kernels.multiply_codes({.x = x.data(),
                            .weight = weight.data(),
                            .rows = kRows,
                            .out = out,
                            .in = in,
                            .sums = sums.data()});
  }
  state.counters["ops"] =
      benchmark::Counter(2.0 * kRows * out * in, benchmark::Counter::kIsIterationInvariantRate);
}

void Register(CpuIsa isa) {
  const KernelSet& kernels = KernelsFor(isa);
  const std::string suffix = std::string("/") + CpuIsaName(isa);
  const auto add = [&](const char* name, void (*bench)(benchmark::State&, const KernelSet&)) {
    return benchmark::RegisterBenchmark(
        (name + suffix).c_str(),
        [bench, &kernels](benchmark::State& state) { bench(state, kernels); });
  };
  add("attention", BenchAttention)
      ->Args({64, 32})
      ->Args({128, 32})
      ->Args({128, 64})
      ->Args({512, 64});
  if (kernels.half_attention != nullptr) {
    add("half_attention", BenchHalfAttention)
        ->Args({64, 32})
        ->Args({128, 32})
        ->Args({128, 64})
        ->Args({512, 64});
  }
  add("bias_gelu", BenchBiasGelu)->Arg(512)->Arg(1536)->Arg(3072);
  add("layer_norm", BenchLayerNorm)->Arg(128)->Arg(384)->Arg(768);
  add("embedding", BenchEmbedding)->Arg(128)->Arg(384);
  add("quantize_rows", BenchQuantizeRows)->Arg(384)->Arg(1536);
  add("scale_sums", BenchScaleSums)->Arg(384)->Arg(1536);
  add("multiply_codes", BenchMultiplyCodes)->Args({1152, 384})->Args({384, 1536});
}

}  // namespace
}  // namespace tailor

int main(int argc, char** argv) {
  using tailor::CpuIsa;
  for (const CpuIsa isa :
       {CpuIsa::kAmx, CpuIsa::kAvx512Fp16, CpuIsa::kAvx512Vnni, CpuIsa::kAvx2, CpuIsa::kPortable}) {
    if (tailor::HostHas(isa)) tailor::Register(isa);
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
