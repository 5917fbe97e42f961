// SPDX-License-Identifier: Apache-2.0
// y = x * weight^T (+ bias), however the weights are kept: the seam for weight formats. The forward
// pass knows only the interface; each format is one class of linear_step.cc, int8_step.cc or
// tile_step.cc.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "engine/cpu/kernels/kernel_set.h"
#include "engine/cpu/product.h"
#include "engine/cpu/rows.h"

namespace tailor {

// Immutable after it is made. Run may be called by several threads at once, each with its own
// number and scratch; it allocates nothing.
class LinearStep {
 public:
  virtual ~LinearStep() = default;
  LinearStep(const LinearStep&) = delete;
  LinearStep& operator=(const LinearStep&) = delete;

  int out() const { return out_; }
  int in() const { return in_; }

  // What Run reads best; x.f32 will always do.
  virtual StepInput input() const { return {}; }
  // Whether it adds its bias and applies its activation to the outputs.
  virtual bool activates() const { return false; }
  // Whether it can write halves (Rows::half).
  virtual bool gives_half() const { return false; }
  // What computes it, for example "brg:avx512_core"; empty when there is nothing to compute.
  virtual std::string implementation() const = 0;
  virtual size_t bytes() const = 0;          // weights as they are kept
  virtual size_t scratch_bytes() const = 0;  // that Run needs, 64-byte aligned

  // x: [rows, in], y: [rows, out]; rows <= kMaxProductRows. May read and write ProductRows(rows)
  // rows (product.h). When y has tiles, the step fills them and leaves y.f32 arbitrary; only steps
  // that activate are given such. When y has halves, so have the outputs; only steps that give them
  // are given such. `thread` is below the count given to the library. False when oneDNN reports an
  // error.
  virtual bool Run(int thread, const Rows& x, int rows, const Rows& y,
                   std::byte* scratch) const = 0;

  // Whether threads can divide its outputs: RunShare is there. An output is the same as from Run.
  virtual bool has_shares() const { return false; }
  // Share `share` of `shares` of the outputs, of all rows. x has tiles of input(). Where y has
  // tiles and GivesTiles(y) is false, y.f32 gets the outputs and the caller stores the tiles.
  virtual void RunShare(const Rows& x, int rows, const Rows& y, int share, int shares) const;
  virtual bool GivesTiles(const Rows& y) const;

 protected:
  LinearStep(int out, int in) : out_(out), in_(in) {}

 private:
  const int out_;
  const int in_;
};

// What a step does to its sums.
struct StepOutput {
  std::span<const float> bias = {};                 // [out]; empty: none is added
  std::optional<KernelActivation> activation = {};  // after the bias
};

// In f32, by oneDNN. weight: [out, in]; bias: [out], read when the spec has one.
absl::StatusOr<std::unique_ptr<LinearStep>> MakeFloatStep(ProductLibrary& library,
                                                          const ProductSpec& spec,
                                                          std::span<const float> weight,
                                                          std::span<const float> bias);

// 8-bit weights: weight[o][i] = codes[o][i] * scale[o].
struct Int8Weights {
  std::span<const int8_t> codes;  // [out, in]
  std::span<const float> scale;   // [out]
  std::span<const float> bias;    // [out]; empty: none is added
  float input_scale = 0;          // of the codes of x; 0: each row gets its own
};

// Each row of x to codes, exact 32-bit sums, and these times both scales, in f32; for instruction
// sets without tiles (tile_step.h). `kernels` outlives the step.
std::unique_ptr<LinearStep> MakeInt8Step(const KernelSet& kernels, const Int8Weights& weights,
                                         int in);

// The outputs of several steps with the same input, side by side: for parts of a projection that
// differ in format. Slower than one step by a copy.
std::unique_ptr<LinearStep> MakeStackedStep(std::vector<std::unique_ptr<LinearStep>> parts);

// Without outputs or without inputs (a layer without heads or inner neurons): y = 0.
std::unique_ptr<LinearStep> MakeEmptyStep(int out, int in);

}  // namespace tailor
