// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/check.h"
#include "base/status_macros.h"
#include "engine/cpu/linear_step.h"

namespace tailor {
namespace {

constexpr int RoundUp(int value, int unit) { return (value + unit - 1) / unit * unit; }

// Codes with zero rows and columns added up to the paddings of the kernels, which also keeps oneDNN
// away from odd shapes, for which it has only its reference.
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
  // Without a product, `codes` are multiplied by an own kernel; with one it has packed them.
  Int8Step(const KernelSet& kernels, const Int8Weights& weights, int in, std::vector<int8_t> codes,
           const Product* product, PackedMatrix matrix)
      : LinearStep(static_cast<int>(weights.scale.size()), in),
        kernels_(kernels),
        padded_out_(RoundUp(out(), kSumPadding)),
        padded_in_(RoundUp(in, kCodePadding)),
        scale_(weights.scale.begin(), weights.scale.end()),
        bias_(weights.bias.begin(), weights.bias.end()),
        input_scale_(weights.input_scale),
        codes_(std::move(codes)),
        product_(product),
        matrix_(std::move(matrix)) {}

  std::string implementation() const override {
    return absl::StrCat(
        "int8 ", input_scale_ > 0 ? "static" : "dynamic", " ",
        product_ == nullptr ? "own:widened to 16 bits" : product_->implementation());
  }
  size_t bytes() const override {
    return (product_ == nullptr ? codes_.size() : matrix_.bytes()) +
           (scale_.size() + bias_.size()) * sizeof(float);
  }
  size_t scratch_bytes() const override {
    return CodesBytes() + SumsBytes() + kScalesBytes +
           (product_ == nullptr ? 0 : product_->scratch_bytes());
  }

  bool Run(int thread, const Rows& x, int rows, const Rows& y, std::byte* scratch) const override {
    auto* codes = reinterpret_cast<int8_t*>(scratch);
    auto* sums = reinterpret_cast<int32_t*>(scratch + CodesBytes());
    auto* scales = reinterpret_cast<float*>(scratch + CodesBytes() + SumsBytes());
    std::byte* rest = scratch + CodesBytes() + SumsBytes() + kScalesBytes;
    for (int begin = 0; begin < rows; begin += kMaxInt8Rows) {
      const int count = std::min(kMaxInt8Rows, rows - begin);
      kernels_.quantize_rows({.x = x.From(begin).f32,
                              .x_stride = x.width,
                              .rows = count,
                              .columns = in(),
                              .fixed_scale = input_scale_,
                              .codes = codes,
                              .codes_stride = static_cast<size_t>(padded_in_),
                              .scales = scales});
      if (!Multiply(thread, codes, count, sums, rest)) return false;
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
  static constexpr size_t kScalesBytes = kMaxInt8Rows * sizeof(float);
  size_t CodesBytes() const { return static_cast<size_t>(kMaxInt8Rows) * padded_in_; }
  size_t SumsBytes() const { return sizeof(int32_t) * kMaxInt8Rows * padded_out_; }

  bool Multiply(int thread, const int8_t* codes, int rows, int32_t* sums,
                std::byte* scratch) const {
    if (product_ != nullptr) return product_->Run(thread, matrix_, codes, rows, sums, scratch);
    kernels_.multiply_codes({.x = codes,
                             .weight = codes_.data(),
                             .rows = rows,
                             .out = padded_out_,
                             .in = padded_in_,
                             .sums = sums});
    return true;
  }

  const KernelSet& kernels_;
  const int padded_out_;
  const int padded_in_;
  const std::vector<float> scale_;  // [out]
  const std::vector<float> bias_;   // [out] or empty
  const float input_scale_;
  const std::vector<int8_t> codes_;  // [padded_out, padded_in], empty with a product
  const Product* const product_;     // null: own kernel
  const PackedMatrix matrix_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<LinearStep>> MakeInt8Step(ProductLibrary& library,
                                                         const KernelSet& kernels,
                                                         const Int8Weights& weights, int in) {
  TAILOR_CHECK(weights.codes.size() == weights.scale.size() * in);
  const int padded_out = RoundUp(static_cast<int>(weights.scale.size()), kSumPadding);
  const int padded_in = RoundUp(in, kCodePadding);
  std::vector<int8_t> codes = Padded(weights, in, padded_out, padded_in);
  const Product* product = nullptr;
  PackedMatrix matrix;
  if (library.has_exact_int8()) {
    TAILOR_ASSIGN_OR_RETURN(
        product, library.Get({.out = padded_out, .in = padded_in, .type = ProductType::kInt8}));
    TAILOR_ASSIGN_OR_RETURN(matrix, product->Pack(codes));
    codes = {};
  }
  return std::make_unique<Int8Step>(kernels, weights, in, std::move(codes), product,
                                    std::move(matrix));
}

}  // namespace tailor
