// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"

#include "base/check.h"
#include "engine/cpu/linear_step.h"

namespace tailor {
namespace {

constexpr int RoundUp(int value, int unit) { return (value + unit - 1) / unit * unit; }

// Rows at a time: their codes and sums stay in the second-level cache.
constexpr int kRowsAtOnce = 64;

// Codes with zero rows and columns added up to the paddings of the kernels.
std::vector<int8_t> Padded(const Int8Weights& weights, int in, int padded_out, int padded_in) {
  std::vector<int8_t> padded(static_cast<size_t>(padded_out) * padded_in);
  for (size_t o = 0; o < weights.scale.size(); ++o) {
    std::copy_n(weights.codes.begin() + static_cast<int64_t>(o * in), in,
                padded.begin() + static_cast<int64_t>(o * padded_in));
  }
  return padded;
}

class Int8Step final : public LinearStep {
 public:
  Int8Step(const KernelSet& kernels, const Int8Weights& weights, int in)
      : LinearStep(static_cast<int>(weights.scale.size()), in),
        kernels_(kernels),
        padded_out_(RoundUp(out(), kSumPadding)),
        padded_in_(RoundUp(in, kCodePadding)),
        scale_(weights.scale.begin(), weights.scale.end()),
        bias_(weights.bias.begin(), weights.bias.end()),
        input_scale_(weights.input_scale),
        codes_(Padded(weights, in, padded_out_, padded_in_)) {}

  std::string implementation() const override {
    return absl::StrCat("int8 ", input_scale_ > 0 ? "static" : "dynamic",
                        " own:widened to 16 bits");
  }
  size_t bytes() const override {
    return codes_.size() + (scale_.size() + bias_.size()) * sizeof(float);
  }
  size_t scratch_bytes() const override {
    return CodesBytes() + SumsBytes() + kRowsAtOnce * sizeof(float);
  }

  bool Run(int, const Rows& x, int rows, const Rows& y, std::byte* scratch) const override {
    auto* codes = reinterpret_cast<int8_t*>(scratch);
    auto* sums = reinterpret_cast<int32_t*>(scratch + CodesBytes());
    auto* scales = reinterpret_cast<float*>(scratch + CodesBytes() + SumsBytes());
    for (int begin = 0; begin < rows; begin += kRowsAtOnce) {
      const int count = std::min(kRowsAtOnce, rows - begin);
      kernels_.quantize_rows({.x = x.From(begin).f32,
                              .x_stride = x.width,
                              .rows = count,
                              .columns = in(),
                              .fixed_scale = input_scale_,
                              .codes = codes,
                              .codes_stride = static_cast<size_t>(padded_in_),
                              .scales = scales});
      kernels_.multiply_codes({.x = codes,
                               .weight = codes_.data(),
                               .rows = count,
                               .out = padded_out_,
                               .in = padded_in_,
                               .sums = sums});
      kernels_.scale_sums({.sums = sums,
                           .sums_stride = static_cast<size_t>(padded_out_),
                           .row_scale = scales,
                           .column_scale = scale_.data(),
                           .bias = bias_.empty() ? nullptr : bias_.data(),
                           .rows = count,
                           .columns = out(),
                           .out = y.From(begin).f32,
                           .out_stride = y.width});
    }
    return true;
  }

 private:
  size_t CodesBytes() const { return static_cast<size_t>(kRowsAtOnce) * padded_in_; }
  size_t SumsBytes() const { return sizeof(int32_t) * kRowsAtOnce * padded_out_; }

  const KernelSet& kernels_;
  const int padded_out_;
  const int padded_in_;
  const std::vector<float> scale_;  // [out]
  const std::vector<float> bias_;   // [out] or empty
  const float input_scale_;
  const std::vector<int8_t> codes_;  // [padded_out, padded_in]
};

}  // namespace

std::unique_ptr<LinearStep> MakeInt8Step(const KernelSet& kernels, const Int8Weights& weights,
                                         int in) {
  TAILOR_CHECK(weights.codes.size() == weights.scale.size() * in);
  return std::make_unique<Int8Step>(kernels, weights, in);
}

}  // namespace tailor
