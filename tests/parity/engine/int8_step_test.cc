// SPDX-License-Identifier: Apache-2.0
// Int8 steps of the CPU engine against a plain loop over integers. Inputs
// are whole numbers and all scales are 1, so that the outputs are the int32 sums themselves and
// must be equal. TAILOR_PARITY_ISA chooses the instruction set (CMakeLists.txt).
#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "base/aligned_buffer.h"
#include "engine/cpu/cpu_isa.h"
#include "engine/cpu/kernel_table.h"
#include "engine/cpu/linear_step.h"
#include "engine/cpu/tile_step.h"
#include "tests/parity/engine/parity.h"

namespace tailor {
namespace {

struct Shape {
  int out, in;
};

class Int8Step : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto isa = ChooseCpuIsa(testing::ParityIsa());
    if (!isa.ok()) GTEST_SKIP() << isa.status();
    isa_ = *isa;
    auto library = ProductLibrary::Create(isa_, testing::ParityIsa() != "auto", /*threads=*/1);
    ASSERT_TRUE(library.ok()) << library.status();
    library_ = *std::move(library);
  }

  std::unique_ptr<LinearStep> Make(const Int8Weights& weights, int in) {
    const KernelSet& kernels = KernelsFor(isa_);
    if (kernels.Has(TileType::kInt8))
      return MakeTileStep(kernels, weights, in, {.bias = weights.bias});
    return MakeInt8Step(kernels, weights, in);
  }

  // Outputs of `rows` rows, which lie in memory for kMaxProductRows, as in the engine.
  static std::vector<float> Run(const LinearStep& step, const std::vector<float>& x, int rows) {
    AlignedBuffer<float> in(static_cast<size_t>(kMaxProductRows) * step.in());
    AlignedBuffer<float> out(static_cast<size_t>(kMaxProductRows) * step.out());
    AlignedBuffer<std::byte> scratch(step.scratch_bytes());
    std::copy(x.begin(), x.end(), in.data());
    EXPECT_TRUE(step.Run(0, {.f32 = in.data(), .width = static_cast<size_t>(step.in())}, rows,
                         {.f32 = out.data(), .width = static_cast<size_t>(step.out())},
                         scratch.data()));
    return {out.data(), out.data() + static_cast<size_t>(rows) * step.out()};
  }

  CpuIsa isa_ = CpuIsa::kPortable;
  std::unique_ptr<ProductLibrary> library_;
};

std::vector<int8_t> RandomCodes(size_t size, uint32_t seed, bool is_extreme) {
  std::mt19937 random(seed);
  std::vector<int8_t> codes(size);
  for (int8_t& code : codes) {
    code = static_cast<int8_t>(is_extreme ? (random() % 8 == 0 ? -127 : 127)
                                          : static_cast<int>(random() % 255) - 127);
  }
  return codes;
}

// Extreme codes find sums that saturate in 16 bits. Sums stay below 2^24, where f32 is exact: of
// extreme codes for up to 1040 inputs, of random ones for all.
TEST_F(Int8Step, SumsAreThoseOfIntegers) {
  for (const Shape& shape : {Shape{1, 1},
                             {7, 64},
                             {64, 7},
                             {77, 60},
                             {48, 26},
                             {192, 64},
                             {1152, 384},
                             {384, 1536},
                             {336, 1000}}) {
    for (const bool is_extreme : {false, true}) {
      if (is_extreme && shape.in > 1040) continue;
      const std::vector<int8_t> codes =
          RandomCodes(static_cast<size_t>(shape.out) * shape.in, 1, is_extreme);
      const std::vector<float> ones(shape.out, 1.0F);
      const auto step =
          Make({.codes = codes, .scale = ones, .bias = {}, .input_scale = 1}, shape.in);
      ASSERT_NE(step, nullptr);
      EXPECT_EQ(step->implementation().find("ref"), std::string::npos) << step->implementation();
      for (const int rows : {1, 2, 3, 5, 12, 17, 33, 64, 65, 150, kMaxProductRows}) {
        const std::vector<int8_t> x =
            RandomCodes(static_cast<size_t>(rows) * shape.in, 2, is_extreme);
        const std::vector<float> y = Run(*step, {x.begin(), x.end()}, rows);
        for (int r = 0; r < rows; ++r) {
          for (int o = 0; o < shape.out; ++o) {
            int32_t sum = 0;
            for (int i = 0; i < shape.in; ++i) {
              sum += x[static_cast<size_t>(r) * shape.in + i] *
                     codes[static_cast<size_t>(o) * shape.in + i];
            }
            ASSERT_EQ(y[static_cast<size_t>(r) * shape.out + o], static_cast<float>(sum))
                << shape.out << "x" << shape.in << ", " << rows << " rows, row " << r << ", output "
                << o << ", " << step->implementation();
          }
        }
      }
    }
  }
}

TEST_F(Int8Step, SaysHowItComputes) {
  const std::vector<int8_t> codes(64 * 64, 1);
  const std::vector<float> scale(64, 1.0F);
  const auto dynamic = Make({.codes = codes, .scale = scale, .bias = {}}, 64);
  const auto fixed = Make({.codes = codes, .scale = scale, .bias = {}, .input_scale = 2}, 64);
  EXPECT_EQ(dynamic->implementation().rfind("int8 dynamic ", 0), 0U) << dynamic->implementation();
  EXPECT_EQ(fixed->implementation().rfind("int8 static ", 0), 0U) << fixed->implementation();
  const char* own = isa_ == CpuIsa::kAmx                    ? "own:amx_int8"
                    : KernelsFor(isa_).Has(TileType::kInt8) ? "own:avx512_vnni"
                                                            : "own:widened to 16 bits";
  EXPECT_NE(fixed->implementation().find(own), std::string::npos) << fixed->implementation();
}

// Parts of a projection in two formats: their outputs stand side by side.
TEST_F(Int8Step, StacksBesideAFloatStep) {
  const std::vector<int8_t> codes = {1, 2, 3, 4, 5, 6};
  const std::vector<float> scale = {1, 10, 100};
  const std::vector<float> bias = {0.5F, 0.25F, 0.125F};
  std::vector<std::unique_ptr<LinearStep>> parts;
  parts.push_back(Make({.codes = codes, .scale = scale, .bias = bias, .input_scale = 1}, 2));
  const std::vector<float> weight = {0.5F, 0.25F};
  auto floats = MakeFloatStep(*library_, {.out = 1, .in = 2, .has_bias = true}, weight,
                              std::vector<float>{1});
  ASSERT_TRUE(floats.ok()) << floats.status();
  parts.push_back(*std::move(floats));
  const auto stacked = MakeStackedStep(std::move(parts));
  EXPECT_EQ(stacked->out(), 4);
  EXPECT_EQ(Run(*stacked, {1, 2, -3, 4}, 2),
            (std::vector<float>{5.5F, 110.25F, 1700.125F, 2, 5.5F, 70.25F, 900.125F, 0.5F}));
}

}  // namespace
}  // namespace tailor
