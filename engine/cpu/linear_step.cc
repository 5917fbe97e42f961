// SPDX-License-Identifier: Apache-2.0
#include "engine/cpu/linear_step.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "base/check.h"
#include "base/status_macros.h"

namespace tailor {
namespace {

class FloatStep final : public LinearStep {
 public:
  FloatStep(const Product& product, PackedMatrix matrix)
      : LinearStep(product.spec().out, product.spec().in),
        product_(product),
        matrix_(std::move(matrix)) {}

  std::string implementation() const override { return product_.implementation(); }
  size_t bytes() const override { return matrix_.bytes(); }
  size_t scratch_bytes() const override { return product_.scratch_bytes(); }

  bool Run(int thread, const Rows& x, int rows, const Rows& y, std::byte* scratch) const override {
    return product_.Run(thread, matrix_, x.f32, rows, y.f32, scratch);
  }

 private:
  const Product& product_;
  const PackedMatrix matrix_;
};

size_t TotalOutputs(const std::vector<std::unique_ptr<LinearStep>>& parts) {
  size_t out = 0;
  for (const auto& part : parts) out += part->out();
  return out;
}

class StackedStep final : public LinearStep {
 public:
  explicit StackedStep(std::vector<std::unique_ptr<LinearStep>> parts)
      : LinearStep(static_cast<int>(TotalOutputs(parts)), parts.front()->in()),
        parts_(std::move(parts)) {
    for (const auto& part : parts_) {
      TAILOR_CHECK(part->in() == in());
      widest_ = std::max<size_t>(widest_, part->out());
    }
  }

  StepInput input() const override {
    const StepInput first = parts_.front()->input();
    const bool is_common = std::all_of(parts_.begin(), parts_.end(),
                                       [&](const auto& part) { return part->input() == first; });
    return is_common ? first : StepInput{};
  }
  std::string implementation() const override {
    return absl::StrJoin(parts_, " | ", [](std::string* text, const auto& part) {
      absl::StrAppend(text, part->out(), ": ", part->implementation());
    });
  }
  size_t bytes() const override {
    size_t bytes = 0;
    for (const auto& part : parts_) bytes += part->bytes();
    return bytes;
  }
  size_t scratch_bytes() const override {
    size_t most = 0;
    for (const auto& part : parts_) most = std::max(most, part->scratch_bytes());
    return DenseBytes() + most;
  }

  bool Run(int thread, const Rows& x, int rows, const Rows& y, std::byte* scratch) const override {
    size_t column = 0;
    for (const auto& part : parts_) {
      const Rows dense = {.f32 = reinterpret_cast<float*>(scratch),
                          .width = static_cast<size_t>(part->out())};
      if (!part->Run(thread, x, rows, dense, scratch + DenseBytes())) return false;
      for (int r = 0; r < rows; ++r) {
        std::copy_n(dense.From(r).f32, dense.width, y.From(r).f32 + column);
      }
      column += dense.width;
    }
    return true;
  }

 private:
  // One part's outputs. kMaxProductRows is a bucket of its own, so that no rows follow it.
  size_t DenseBytes() const { return (kMaxProductRows * widest_ * sizeof(float) + 63) / 64 * 64; }

  const std::vector<std::unique_ptr<LinearStep>> parts_;
  size_t widest_ = 0;
};

class EmptyStep final : public LinearStep {
 public:
  EmptyStep(int out, int in) : LinearStep(out, in) {}

  std::string implementation() const override { return ""; }
  size_t bytes() const override { return 0; }
  size_t scratch_bytes() const override { return 0; }

  bool Run(int, const Rows&, int rows, const Rows& y, std::byte*) const override {
    std::fill_n(y.f32, rows * y.width, 0.0F);
    return true;
  }
};

}  // namespace

void LinearStep::RunShare(const Rows&, int, const Rows&, int, int) const { TAILOR_CHECK(false); }

bool LinearStep::GivesTiles(const Rows&) const { return false; }

absl::StatusOr<std::unique_ptr<LinearStep>> MakeFloatStep(ProductLibrary& library,
                                                          const ProductSpec& spec,
                                                          std::span<const float> weight,
                                                          std::span<const float> bias) {
  TAILOR_ASSIGN_OR_RETURN(const Product* product, library.Get(spec));
  TAILOR_ASSIGN_OR_RETURN(PackedMatrix matrix, product->Pack(weight, bias));
  return std::make_unique<FloatStep>(*product, std::move(matrix));
}

std::unique_ptr<LinearStep> MakeStackedStep(std::vector<std::unique_ptr<LinearStep>> parts) {
  TAILOR_CHECK(!parts.empty());
  return std::make_unique<StackedStep>(std::move(parts));
}

std::unique_ptr<LinearStep> MakeEmptyStep(int out, int in) {
  TAILOR_CHECK(out == 0 || in == 0);
  return std::make_unique<EmptyStep>(out, in);
}

}  // namespace tailor
