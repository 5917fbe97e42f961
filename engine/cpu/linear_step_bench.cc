// SPDX-License-Identifier: Apache-2.0
// Steps of the encoder in each format, on one thread and the best instruction set of the host:
// step/FORMAT/outputs/inputs/rows.
#include <string>
#include <vector>

#include "benchmark/benchmark.h"

#include "base/aligned_buffer.h"
#include "base/check.h"
#include "engine/cpu/cpu_isa.h"
#include "engine/cpu/kernel_table.h"
#include "engine/cpu/linear_step.h"

namespace tailor {
namespace {

using StepMaker = absl::StatusOr<std::unique_ptr<LinearStep>> (*)(ProductLibrary& library,
                                                                  const KernelSet& kernels, int out,
                                                                  int in);

template <ProductType kType>
absl::StatusOr<std::unique_ptr<LinearStep>> FloatStepOf(ProductLibrary& library, const KernelSet&,
                                                        int out, int in) {
  const std::vector<float> weight(static_cast<size_t>(out) * in, 0.5F);
  return MakeFloatStep(library, {.out = out, .in = in, .type = kType}, weight, {});
}

absl::StatusOr<std::unique_ptr<LinearStep>> Int8StepOf(ProductLibrary& library,
                                                       const KernelSet& kernels, int out, int in) {
  const std::vector<int8_t> codes(static_cast<size_t>(out) * in, 3);
  const std::vector<float> scale(out, 0.01F);
  return MakeInt8Step(library, kernels, {.codes = codes, .scale = scale, .bias = {}}, in);
}

void BenchStep(benchmark::State& state, CpuIsa isa, StepMaker make) {
  const int out = static_cast<int>(state.range(0));
  const int in = static_cast<int>(state.range(1));
  const int rows = static_cast<int>(state.range(2));
  const auto library = ProductLibrary::Create(isa, /*is_forced=*/false, /*threads=*/1);
  TAILOR_CHECK(library.ok());
  const auto step = make(**library, KernelsFor(isa), out, in);
  if (!step.ok()) {
    state.SkipWithError(std::string(step.status().message()).c_str());
    return;
  }
  AlignedBuffer<float> x(static_cast<size_t>(kMaxProductRows) * in);
  AlignedBuffer<uint16_t> x_bf16(x.size());
  AlignedBuffer<float> y(static_cast<size_t>(kMaxProductRows) * out);
  AlignedBuffer<std::byte> scratch((*step)->scratch_bytes());
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 17);
  for (auto _ : state) {
    TAILOR_CHECK(
        (*step)->Run(0, {.f32 = x.data(), .bf16 = x_bf16.data(), .width = static_cast<size_t>(in)},
                     rows, {.f32 = y.data(), .width = static_cast<size_t>(out)}, scratch.data()));
  }
  state.SetLabel((*step)->implementation());
  state.counters["ops"] =
      benchmark::Counter(2.0 * out * in * rows, benchmark::Counter::kIsIterationInvariantRate);
}

void Register(const char* name, CpuIsa isa, StepMaker make) {
  auto* bench = benchmark::RegisterBenchmark(
      name, [isa, make](benchmark::State& state) { BenchStep(state, isa, make); });
  for (const auto& [out, in] :
       {std::pair{1152, 384}, {384, 384}, {1536, 384}, {384, 1536}, {3072, 768}, {768, 3072}}) {
    for (const int rows : {16, 64, 256}) bench->Args({out, in, rows});
  }
}

}  // namespace
}  // namespace tailor

int main(int argc, char** argv) {
  const absl::StatusOr<tailor::CpuIsa> isa = tailor::ChooseCpuIsa("auto");
  TAILOR_CHECK(isa.ok());
  tailor::Register("step/f32", *isa, tailor::FloatStepOf<tailor::ProductType::kF32>);
  if (tailor::KernelsFor(*isa).has_bf16_outputs) {
    tailor::Register("step/bf16", *isa, tailor::FloatStepOf<tailor::ProductType::kBf16>);
  }
  tailor::Register("step/int8", *isa, tailor::Int8StepOf);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
