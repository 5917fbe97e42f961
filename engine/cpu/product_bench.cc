// SPDX-License-Identifier: Apache-2.0
// Every product of the benchmark models with what follows it (bias; GELU and the next product's
// input), on one thread: own/FORMAT/outputs/inputs/rows, and onednn/... where oneDNN multiplies and
// own kernels do the rest. "share" is that of the peak of int8 products (of the tiles, or of VNNI),
// measured in the same run with products of registers only; for the others half of it, the peak of
// bf16 tiles, or of f16 vectors. The first argument names the instruction set, which also limits
// oneDNN; it may be left out.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "benchmark/benchmark.h"

#include "base/aligned_buffer.h"
#include "base/check.h"
#include "engine/cpu/cpu_isa.h"
#include "engine/cpu/kernel_table.h"
#include "engine/cpu/tile_peak.h"
#include "engine/cpu/tile_step.h"

namespace tailor {
namespace {

struct Shape {
  int out, in;
  bool activates;
};

constexpr Shape kShapes[] = {{2304, 768, false}, {768, 768, false},  {3072, 768, true},
                             {768, 3072, false}, {1152, 384, false}, {384, 384, false},
                             {1536, 384, true},  {384, 1536, false}, {384, 128, false},
                             {128, 128, false},  {512, 128, true},   {128, 512, false}};

CpuIsa isa = CpuIsa::kAmx;
double peak_ops = 0;  // int8, a second

double MeasurePeak() {
  const bool has_tiles = isa == CpuIsa::kAmx;
  const auto run = has_tiles ? RunTilesInRegisters : RunVnniInRegisters;
  const double round_ops = has_tiles ? kTileRoundOps : kVnniRoundOps;
  constexpr int kRounds = 5000;
  double best = 0;
  for (int i = 0; i < 200; ++i) {
    const auto start = std::chrono::steady_clock::now();
    run(kRounds);
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    best = std::max(best, kRounds * round_ops / time.count());
  }
  return best;
}

// Activations and outputs of one product, as the forward pass keeps them.
struct Memory {
  Memory(const Shape& shape, const StepInput& input, const StepInput& next)
      : x(static_cast<size_t>(kMaxProductRows) * shape.in),
        y(static_cast<size_t>(kMaxProductRows) * shape.out),
        x_tiles(x.size() * 4 + kTileBytes * 64),
        y_tiles(y.size() * 4 + kTileBytes * 64),
        x_scales(kMaxProductRows),
        y_scales(kMaxProductRows),
        in{.f32 = x.data(),
           .width = static_cast<size_t>(shape.in),
           .tiles = {.data = x_tiles.data(),
                     .type = input.type,
                     .columns = shape.in,
                     .scales = x_scales.data()}},
        out{.f32 = y.data(),
            .width = static_cast<size_t>(shape.out),
            .tiles = {.data = y_tiles.data(),
                      .type = next.type,
                      .columns = shape.out,
                      .scales = y_scales.data()}} {
    for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 17) - 8.0F;
  }

  AlignedBuffer<float> x, y;
  AlignedBuffer<std::byte> x_tiles, y_tiles;
  AlignedBuffer<float> x_scales, y_scales;
  Rows in, out;
};

void Count(benchmark::State& state, const Shape& shape, int rows, TileType type) {
  using benchmark::Counter;
  const double ops = 2.0 * shape.out * shape.in * rows;
  const double peak = type == TileType::kInt8 ? peak_ops : peak_ops / 2;
  state.counters["ops"] = Counter(ops, Counter::kIsIterationInvariantRate);
  state.counters["share"] = Counter(ops / peak, Counter::kIsIterationInvariantRate);
}

// Weights that no format finds special.
std::vector<float> SomeWeights(const Shape& shape) {
  std::vector<float> weight(static_cast<size_t>(shape.out) * shape.in);
  for (size_t i = 0; i < weight.size(); ++i) weight[i] = static_cast<float>(i % 23) * 0.01F - 0.1F;
  return weight;
}

struct Codes {
  explicit Codes(const Shape& shape)
      : values(static_cast<size_t>(shape.out) * shape.in, 3), scale(shape.out, 0.001F) {}
  std::vector<int8_t> values;
  std::vector<float> scale;
};

void BenchOwn(benchmark::State& state, const Shape& shape, int rows, TileType type) {
  const KernelSet& kernels = KernelsFor(isa);
  const std::vector<float> bias(shape.out, 0.1F);
  StepOutput output = {.bias = bias};
  if (shape.activates) output.activation = KernelActivation::kGeluErf;
  const Codes codes(shape);
  const std::unique_ptr<LinearStep> step =
      type == TileType::kInt8
          ? MakeTileStep(kernels, {.codes = codes.values, .scale = codes.scale, .bias = {}},
                         shape.in, output)
          : MakeTileStep(kernels, type, SomeWeights(shape), shape.out, shape.in, output);
  Memory memory(shape, step->input(), shape.activates ? step->input() : StepInput{});
  AlignedBuffer<std::byte> scratch(step->scratch_bytes());
  kernels.store_tiles(
      {.x = memory.x.data(), .x_stride = memory.in.width, .rows = rows, .tiles = memory.in.tiles});
  for (auto _ : state) {
    TAILOR_CHECK(step->Run(0, memory.in, rows, memory.out, scratch.data()));
  }
  Count(state, shape, rows, type);
}

// Rows to codes, oneDNN's sums of them, and their scaling; few rows at a time, so that all of it
// stays in the cache. Inputs and outputs of kShapes need no padding.
struct OneDnnCodes {
  const KernelSet& kernels;
  const Product* product;
  const PackedMatrix& matrix;
  const std::vector<float>& scale;
  const std::vector<float>& bias;
  AlignedBuffer<int32_t> sums;

  void Run(Memory& memory, int all_rows, std::byte* scratch) {
    const auto in = static_cast<size_t>(product->spec().in);
    const auto out = static_cast<size_t>(product->spec().out);
    auto* codes = reinterpret_cast<int8_t*>(memory.x_tiles.data());
    for (int row = 0; row < all_rows; row += kMaxInt8Rows) {
      const int rows = std::min(kMaxInt8Rows, all_rows - row);
      kernels.quantize_rows({.x = memory.in.From(row).f32,
                             .x_stride = memory.in.width,
                             .rows = rows,
                             .columns = product->spec().in,
                             .fixed_scale = 0,
                             .codes = codes,
                             .codes_stride = in,
                             .scales = memory.x_scales.data()});
      TAILOR_CHECK(product->Run(0, matrix, codes, rows, sums.data(), scratch));
      kernels.scale_sums({.sums = sums.data(),
                          .sums_stride = out,
                          .row_scale = memory.x_scales.data(),
                          .column_scale = scale.data(),
                          .bias = bias.data(),
                          .rows = rows,
                          .columns = product->spec().out,
                          .out = memory.out.From(row).f32,
                          .out_stride = memory.out.width});
    }
  }
};

// Own kernels of AVX-512 around oneDNN's product; bf16 without the conversion of its inputs.
void BenchOneDnn(benchmark::State& state, const Shape& shape, int rows, TileType type) {
  const KernelSet& kernels = KernelsFor(CpuIsa::kAvx512Vnni);
  const auto library = ProductLibrary::Create(isa, /*is_forced=*/true, /*threads=*/1);
  TAILOR_CHECK(library.ok());
  const std::vector<float> bias(shape.out, 0.1F);
  const Codes codes(shape);
  Memory memory(shape, {}, {});
  std::unique_ptr<LinearStep> step;
  const Product* product = nullptr;
  PackedMatrix matrix;
  if (type == TileType::kBf16) {
    product =
        (*library)->Get({.out = shape.out, .in = shape.in, .type = ProductType::kBf16}).value();
    matrix = product->Pack(SomeWeights(shape), {}).value();
  } else if (type == TileType::kInt8) {
    product =
        (*library)->Get({.out = shape.out, .in = shape.in, .type = ProductType::kInt8}).value();
    matrix = product->Pack(codes.values).value();
  } else {
    step = MakeFloatStep(**library, {.out = shape.out, .in = shape.in, .has_bias = true},
                         SomeWeights(shape), bias)
               .value();
  }
  AlignedBuffer<std::byte> scratch(product == nullptr ? step->scratch_bytes()
                                                      : product->scratch_bytes());
  const std::vector<float> zeros(shape.out);
  OneDnnCodes int8 = {
      kernels,     product, matrix,
      codes.scale, bias,    AlignedBuffer<int32_t>(static_cast<size_t>(kMaxInt8Rows) * shape.out)};
  for (auto _ : state) {
    if (type == TileType::kInt8) {
      int8.Run(memory, rows, scratch.data());
    } else {
      TAILOR_CHECK(product == nullptr ? step->Run(0, memory.in, rows, memory.out, scratch.data())
                                      : product->Run(0, matrix, memory.x_tiles.data(), rows,
                                                     memory.y.data(), scratch.data()));
    }
    if (!shape.activates) continue;
    kernels.bias_activation({.x = memory.y.data(),
                             .bias = zeros.data(),
                             .activation = KernelActivation::kGeluErf,
                             .rows = rows,
                             .columns = shape.out,
                             .out = memory.y.data()});
  }
  Count(state, shape, rows, type);
}

void Register(const char* format, TileType type) {
  for (const Shape& shape : kShapes) {
    for (const int rows : {16, 64, 256}) {
      const std::string name = std::string(format) + "/" + std::to_string(shape.out) + "/" +
                               std::to_string(shape.in) + (shape.activates ? "/gelu/" : "/") +
                               std::to_string(rows);
      benchmark::RegisterBenchmark(("own/" + name).c_str(), [=, &shape](benchmark::State& state) {
        BenchOwn(state, shape, rows, type);
      });
      benchmark::RegisterBenchmark(
          ("onednn/" + name).c_str(),
          [=, &shape](benchmark::State& state) { BenchOneDnn(state, shape, rows, type); });
    }
  }
}

}  // namespace
}  // namespace tailor

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  const auto isa = tailor::ChooseCpuIsa(argc > 1 ? argv[1] : "auto");
  if (!isa.ok() || !tailor::KernelsFor(*isa).Has(tailor::TileType::kInt8)) {
    std::printf(
        "expected amx, avx512_fp16 or avx512_vnni on a host that has it, got %s; cpu_kernels_bench "
        "measures the others\n",
        isa.ok() ? tailor::CpuIsaName(*isa) : isa.status().ToString().c_str());
    return 0;
  }
  tailor::isa = *isa;
  tailor::peak_ops = tailor::MeasurePeak();
  std::printf("peak of one core, int8, %s: %.3f TOP/s\n", tailor::CpuIsaName(*isa),
              tailor::peak_ops * 1e-12);
  tailor::Register("int8", tailor::TileType::kInt8);
  if (tailor::KernelsFor(*isa).Has(tailor::TileType::kF16)) {
    tailor::Register("f16", tailor::TileType::kF16);
  }
  if (tailor::KernelsFor(*isa).Has(tailor::TileType::kSplitBf16)) {
    tailor::Register("bf16", tailor::TileType::kBf16);
    tailor::Register("f32", tailor::TileType::kSplitBf16);
  }
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
