// SPDX-License-Identifier: Apache-2.0
// Steps on AMX tiles: int8, bf16, and f32 as split bf16.
#include "engine/cpu/tile_step.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/aligned_buffer.h"
#include "base/check.h"
#include "engine/cpu/kernels/tile_layout.h"
#include "engine/cpu/tile_packing.h"

namespace tailor {
namespace {

// Rows of activations of a feed-forward in f32 between its product and their tiles: few enough for
// the second-level cache (1.5 MB of 3072 columns), enough to read the weights seldom.
constexpr int kInnerRows = 128;

std::vector<float> Padded(std::span<const float> values, int out) {
  std::vector<float> padded(PaddedOutputs(out));
  std::copy(values.begin(), values.end(), padded.begin());
  return padded;
}

class TileStep final : public LinearStep {
 public:
  TileStep(const KernelSet& kernels, int out, int in, const StepInput& input,
           AlignedBuffer<std::byte> weight, std::span<const float> scale, const StepOutput& output)
      : LinearStep(out, in),
        kernels_(kernels),
        input_(input),
        weight_(std::move(weight)),
        scale_(Padded(scale, out)),
        bias_(Padded(output.bias, out)),
        activation_(output.activation) {}

  StepInput input() const override { return input_; }
  bool activates() const override { return activation_.has_value(); }
  std::string implementation() const override {
    switch (input_.type) {
      case TileType::kInt8:
        return absl::StrCat("int8 ", input_.input_scale > 0 ? "static" : "dynamic",
                            " own:amx_int8");
      case TileType::kBf16:
        return "own:amx_bf16";
      default:
        return "own:amx_bf16x3";
    }
  }
  size_t bytes() const override {
    return weight_.size() + (scale_.size() + bias_.size()) * sizeof(float);
  }
  size_t scratch_bytes() const override { return TilesBytes() + kMaxProductRows * sizeof(float); }

  bool Run(int, const Rows& x, int rows, const Rows& y, std::byte* scratch) const override {
    const bool goes_into_tiles =
        input_.type != TileType::kInt8 && activates() && y.tiles.type == input_.type;
    if (!y.HasTiles() || goes_into_tiles) {
      Multiply(x, rows, y, scratch);
    } else {
      for (int begin = 0; begin < rows; begin += kInnerRows) {
        const int count = std::min(kInnerRows, rows - begin);
        Multiply(x.From(begin), count, y.For({}), scratch);  // f32, always the same rows
        kernels_.store_tiles(
            {.x = y.f32, .x_stride = y.width, .rows = count, .tiles = y.From(begin).tiles});
      }
    }
    return true;
  }

 private:
  size_t TilesBytes() const {
    return TileBlockBytes(input_.type, in()) * (kMaxProductRows / kTileRows);
  }

  void Multiply(const Rows& x, int rows, const Rows& y, std::byte* scratch) const {
    TileRows tiles = x.tiles;
    if (!x.HasTilesFor(input_)) {
      tiles = {.data = scratch,
               .type = input_.type,
               .columns = in(),
               .first_row = 0,
               .scales = reinterpret_cast<float*>(scratch + TilesBytes()),
               .fixed_scale = input_.input_scale};
      kernels_.store_tiles({.x = x.f32, .x_stride = x.width, .rows = rows, .tiles = tiles});
    }
    kernels_.tile_product({.x = tiles,
                           .weight = weight_.data(),
                           .rows = rows,
                           .out = out(),
                           .column_scale = scale_.data(),
                           .bias = bias_.data(),
                           .activates = activates(),
                           .activation = activation_.value_or(KernelActivation::kRelu),
                           .y = y.HasTiles() ? nullptr : y.f32,
                           .y_stride = y.width,
                           .y_tiles = y.tiles});
  }

  const KernelSet& kernels_;
  const StepInput input_;
  const AlignedBuffer<std::byte> weight_;
  const std::vector<float> scale_;  // [PaddedOutputs(out)], read by kInt8
  const std::vector<float> bias_;   // [PaddedOutputs(out)]
  const std::optional<KernelActivation> activation_;
};

}  // namespace

std::unique_ptr<LinearStep> MakeTileStep(const KernelSet& kernels, TileType type,
                                         std::span<const float> weight, int out, int in,
                                         const StepOutput& output) {
  TAILOR_CHECK(kernels.has_tiles() && weight.size() == static_cast<size_t>(out) * in);
  return std::make_unique<TileStep>(kernels, out, in, StepInput{.type = type},
                                    PackFloats(type, weight, out, in), std::span<const float>(),
                                    output);
}

std::unique_ptr<LinearStep> MakeTileStep(const KernelSet& kernels, const Int8Weights& weights,
                                         int in, const StepOutput& output) {
  const int out = static_cast<int>(weights.scale.size());
  TAILOR_CHECK(kernels.has_tiles() && weights.codes.size() == weights.scale.size() * in);
  return std::make_unique<TileStep>(
      kernels, out, in, StepInput{.type = TileType::kInt8, .input_scale = weights.input_scale},
      PackCodes(weights.codes, out, in), weights.scale, output);
}

}  // namespace tailor
