// SPDX-License-Identifier: Apache-2.0
// The CPU engine against the reference, in every format: every kind of model and batch that issues
// are made of, on several thread counts. TAILOR_PARITY_ISA forces an instruction set (one a
// process: product.h); CMakeLists.txt registers the tests once for each. Tolerances:
// docs/numerics.md.
#include <algorithm>
#include <map>
#include <memory>
#include <numeric>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "engine/cpu/cpu_isa.h"
#include "engine/model/product_weights.h"
#include "tests/parity/engine/parity.h"
#include "tests/parity/engine/parity_cases.h"
#include "tests/parity/engine/random_model.h"

namespace tailor {
namespace {

using testing::Cpu;
using testing::ExpectNear;
using testing::LoadInto;
using testing::Outputs;
using testing::ParityBatches;
using testing::ParityConfigs;
using testing::ParityIsa;
using testing::RandomBatch;
using testing::RandomModel;
using testing::Reference;
using testing::StoreCodes;
using testing::Stored;

constexpr double kInt8Bound = 1e-1;
constexpr double kInt8MedianBound = 2e-2;  // where nearly all sequences have flipped codes

// The ways to hold a model in int8, all from the same weights: codes made at load; stored codes
// with fixed input scales; stored codes beside floats.
std::map<std::string, ModelPackage> Int8Models(const BertConfig& config) {
  std::map<std::string, ModelPackage> models;
  models["dynamic"] = RandomModel(config, 17, WeightFormat::kInt8);
  models["static"] = RandomModel(config, 17);
  StoreCodes(models["static"], Stored::kAll, 0.02F);
  models["mixed"] = RandomModel(config, 17, WeightFormat::kF16);
  StoreCodes(models["mixed"], Stored::kEverySecond, 0);
  return models;
}

class CpuParity : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const std::string isa = ParityIsa();
    if (isa == "auto") return;
    const auto chosen = ChooseCpuIsa(isa);
    if (!chosen.ok()) GTEST_SKIP() << chosen.status();
  }
};

TEST_P(CpuParity, AgreesWithTheReference) {
  const BertConfig config = ParityConfigs().at(GetParam());
  const ModelPackage package = RandomModel(config, 17);
  const std::unique_ptr<Backend> reference = Reference();
  const LoadedCut reference_cut = LoadInto(*reference, package);
  std::map<std::string, std::vector<float>> expected;
  for (const auto& [name, lengths] : ParityBatches()) {
    expected[name] = Outputs(*reference, reference_cut, RandomBatch(lengths, config, 5));
  }
  for (const int threads : {1, 2, 3, 8}) {
    const std::unique_ptr<Backend> cpu = Cpu(threads);
    const LoadedCut cut = LoadInto(*cpu, package);
    for (const auto& [name, lengths] : ParityBatches()) {
      ExpectNear(Outputs(*cpu, cut, RandomBatch(lengths, config, 5)), expected[name], 1e-4,
                 GetParam() + "/" + name + "/" + std::to_string(threads));
    }
  }
}

// The sequences `order` of a batch, in that order.
Batch Selected(const Batch& batch, const std::vector<int>& order) {
  Batch selected;
  for (const int i : order) {
    const size_t first = batch.sequence_offsets[i];
    const size_t count = batch.sequence_tokens(i);
    selected.Append(std::span(batch.token_ids).subspan(first, count),
                    std::span(batch.token_type_ids).subspan(first, count));
  }
  return selected;
}

bool HasOwnProducts(const std::string& isa, const ModelPackage& package) {
  if (isa == "amx") return true;
  if (isa == "avx512_fp16" && package.format == WeightFormat::kF16) return true;
  return isa.starts_with("avx512") && MainFormat(package) == WeightFormat::kInt8;
}

// Alone, reversed, shuffled, and cut in two, on any number of threads, a sequence gets what it gets
// among all others on one thread: to the bit by own products (all on AMX, of codes with VNNI, of
// f16 with AVX512-FP16), whose sums do not depend on the number of rows; elsewhere oneDNN and
// threads that share a feed-forward may add in another order.
void ExpectNoDependenceOnTheBatch(const BertConfig& config, const ModelPackage& package,
                                  const std::string& what) {
  const std::vector<int> lengths = {40, 7, 120, 1, 64, 33, 33, 90, 15};
  const Batch batch = RandomBatch(lengths, config, 3);
  std::vector<int> in_order(lengths.size());
  std::iota(in_order.begin(), in_order.end(), 0);
  std::vector<std::vector<int>> orders = {in_order,
                                          {in_order.rbegin(), in_order.rend()},
                                          {4, 0, 8, 2, 6, 1, 7, 3, 5},
                                          {in_order.begin(), in_order.begin() + 3},
                                          {in_order.begin() + 3, in_order.end()}};
  for (const int i : in_order) orders.push_back({i});
  std::vector<float> expected;
  for (const int threads : {1, 2, 3, 8}) {
    const std::unique_ptr<Backend> cpu = Cpu(threads);
    const LoadedCut cut = LoadInto(*cpu, package);
    const double bound = HasOwnProducts(cpu->info().isa, package) ? 0 : 1e-5;
    if (expected.empty()) expected = Outputs(*cpu, cut, batch);
    for (const std::vector<int>& order : orders) {
      std::vector<float> in_this_order;
      for (const int i : order) {
        const auto first = expected.begin() + static_cast<int64_t>(i) * cut.num_outputs;
        in_this_order.insert(in_this_order.end(), first, first + cut.num_outputs);
      }
      ExpectNear(Outputs(*cpu, cut, Selected(batch, order)), in_this_order, bound,
                 absl::StrCat(what, "/", threads, " threads/", order.size(), " from ", order[0]));
    }
  }
}

TEST_P(CpuParity, APairDoesNotDependOnItsBatch) {
  const BertConfig config = ParityConfigs().at(GetParam());
  ExpectNoDependenceOnTheBatch(config, RandomModel(config, 23), GetParam());
}

// Integer sums do not depend on how many rows a call has, so that no code flips either.
TEST_P(CpuParity, AnInt8PairDoesNotDependOnItsBatch) {
  const BertConfig config = ParityConfigs().at(GetParam());
  ModelPackage fixed = RandomModel(config, 23);
  StoreCodes(fixed, Stored::kAll, 0.02F);
  ExpectNoDependenceOnTheBatch(config, RandomModel(config, 23, WeightFormat::kInt8),
                               GetParam() + "/dynamic");
  ExpectNoDependenceOnTheBatch(config, fixed, GetParam() + "/static");
}

TEST_P(CpuParity, ABf16PairDoesNotDependOnItsBatch) {
  if (Cpu(1)->info().isa != "amx") GTEST_SKIP() << "bf16 needs amx";
  const BertConfig config = ParityConfigs().at(GetParam());
  ExpectNoDependenceOnTheBatch(config, RandomModel(config, 23, WeightFormat::kBf16),
                               GetParam() + "/bf16");
}

TEST_P(CpuParity, AnF16PairDoesNotDependOnItsBatch) {
  const BertConfig config = ParityConfigs().at(GetParam());
  ExpectNoDependenceOnTheBatch(config, RandomModel(config, 23, WeightFormat::kF16),
                               GetParam() + "/f16");
}

// bf16 against the reference's emulation of it. Both round the same values to bf16, but these
// differ by the order of their sums, about 1e-6, so that a few round to the other neighbour, 2^-8
// away. Each such flip disturbs all that follow it: after some layers the difference has the size
// of bf16's own rounding noise. docs/numerics.md derives the bound.
TEST_P(CpuParity, Bf16AgreesWithItsEmulation) {
  const BertConfig config = ParityConfigs().at(GetParam());
  const ModelPackage package = RandomModel(config, 17, WeightFormat::kBf16);
  const std::unique_ptr<Backend> probe = Cpu(1);
  if (probe->info().isa != "amx") {
    EXPECT_EQ(probe->Load(package).status().code(), absl::StatusCode::kFailedPrecondition);
    return;
  }
  const std::unique_ptr<Backend> reference = Reference();
  const LoadedCut reference_cut = LoadInto(*reference, package);
  for (const auto& [name, lengths] : ParityBatches()) {
    const Batch batch = RandomBatch(lengths, config, 5);
    const std::vector<float> expected = Outputs(*reference, reference_cut, batch);
    for (const int threads : {1, 2}) {
      const std::unique_ptr<Backend> cpu = Cpu(threads);
      ExpectNear(Outputs(*cpu, LoadInto(*cpu, package), batch), expected, 3e-2,
                 GetParam() + "/" + name + "/bf16/" + std::to_string(threads));
    }
  }
}

// Mostly computed as f32 is. With AVX512-FP16 inputs are rounded and sums partly made in f16, which
// the reference does not do (docs/numerics.md derives the bound).
TEST_P(CpuParity, F16AgreesWithTheReference) {
  const BertConfig config = ParityConfigs().at(GetParam());
  const ModelPackage package = RandomModel(config, 17, WeightFormat::kF16);
  const std::unique_ptr<Backend> reference = Reference();
  const LoadedCut reference_cut = LoadInto(*reference, package);
  const std::unique_ptr<Backend> cpu = Cpu(2);
  const LoadedCut cut = LoadInto(*cpu, package);
  const double bound = cpu->info().isa == "avx512_fp16" ? 2e-2 : 1e-4;
  for (const auto& [name, lengths] : ParityBatches()) {
    const Batch batch = RandomBatch(lengths, config, 5);
    ExpectNear(Outputs(*cpu, cut, batch), Outputs(*reference, reference_cut, batch), bound,
               GetParam() + "/" + name + "/f16");
  }
}

// int8 against the reference, which sums the same integers. Before they are rounded to codes, the
// values of both differ by about 1e-6 of their size, so that one in some ten thousand becomes the
// neighbouring code; a flip of one step, 1/127 of the largest of its row, disturbs all outputs of
// that row, and with them many more codes. A sequence is therefore either free of flips and agrees
// as in f32, or differs by int8's own rounding noise (docs/numerics.md derives the bound). Most are
// free; a wrong scale or a wrong code would move all of them. On AMX and with AVX512-FP16,
// attention between int8 projections is in halves, which the reference's is not. That flips codes
// in most sequences where scales are dynamic; the static one is so coarse that half of them still
// have none, and attention of "mixed" is in f32.
TEST_P(CpuParity, Int8AgreesWithTheReference) {
  const BertConfig config = ParityConfigs().at(GetParam());
  for (const auto& [format, package] : Int8Models(config)) {
    const std::unique_ptr<Backend> reference = Reference();
    const LoadedCut reference_cut = LoadInto(*reference, package);
    std::map<std::string, std::vector<float>> expected;
    for (const auto& [name, lengths] : ParityBatches()) {
      expected[name] = Outputs(*reference, reference_cut, RandomBatch(lengths, config, 5));
    }
    for (const int threads : {1, 3}) {
      const std::unique_ptr<Backend> cpu = Cpu(threads);
      const LoadedCut cut = LoadInto(*cpu, package);
      std::vector<float> differences;
      for (const auto& [name, lengths] : ParityBatches()) {
        const std::vector<float> actual = Outputs(*cpu, cut, RandomBatch(lengths, config, 5));
        ExpectNear(actual, expected[name], kInt8Bound,
                   absl::StrCat(GetParam(), "/", name, "/", format, "/", threads));
        for (size_t i = 0; i < actual.size(); ++i) {
          differences.push_back(std::abs(actual[i] - expected[name][i]));
        }
      }
      const auto middle = differences.begin() + static_cast<int64_t>(differences.size() / 2);
      std::nth_element(differences.begin(), middle, differences.end());
      std::printf("  %s/%s: median difference %.1e\n", GetParam().c_str(), format.c_str(),
                  static_cast<double>(*middle));
      const std::string& isa = cpu->info().isa;
      const bool has_half_attention = (isa == "amx" || isa == "avx512_fp16") && format == "dynamic";
      EXPECT_LE(*middle, has_half_attention ? kInt8MedianBound : 1e-5)
          << GetParam() << "/" << format;
    }
  }
}

// Threads that share the panels of a float feed-forward leave the codes that the next layer reads.
TEST(CpuSplit, PanelsLeaveTheNextLayerItsCodes) {
  if (!ChooseCpuIsa(ParityIsa()).ok()) GTEST_SKIP() << "this host lacks " << ParityIsa();
  ModelPackage package = RandomModel(ParityConfigs().at("ffn_panels"), 17);
  StoreCodes(package, Stored::kAttention, 0);
  const Batch batch = RandomBatch({37}, package.config, 5);
  const auto outputs = [&](int threads) {
    const std::unique_ptr<Backend> cpu = Cpu(threads);
    return Outputs(*cpu, LoadInto(*cpu, package), batch);
  };
  ExpectNear(outputs(2), outputs(1), kInt8MedianBound, "2 threads");
}

// Where all products are own ones, few rows of large weights are shared by outputs.
TEST(CpuSplit, SaysWhatTheThreadsDivided) {
  if (!ChooseCpuIsa(ParityIsa()).ok()) GTEST_SKIP() << "this host lacks " << ParityIsa();
  const ModelPackage package =
      RandomModel(ParityConfigs().at("family_384"), 17, WeightFormat::kInt8);
  const auto split = [&](Backend& cpu, const std::vector<int>& lengths) {
    Outputs(cpu, LoadInto(cpu, package), RandomBatch(lengths, package.config, 5));
    return std::string(cpu.last_split());
  };
  const std::unique_ptr<Backend> two = Cpu(2);
  EXPECT_EQ(split(*two, {30}), HasOwnProducts(two->info().isa, package) ? "outputs" : "rows");
  EXPECT_EQ(split(*two, {300}), "rows");
  EXPECT_EQ(split(*two, {300, 300}), "sequences");
  EXPECT_EQ(split(*Cpu(1), {30}), "");
}

INSTANTIATE_TEST_SUITE_P(Models, CpuParity, ::testing::ValuesIn(testing::ParityConfigNames()),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace tailor
