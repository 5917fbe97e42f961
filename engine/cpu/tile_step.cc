// SPDX-License-Identifier: Apache-2.0
// Steps on tiles: int8, bf16, f16, and f32 as split bf16.
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

static_assert(kMaxProductRows <= kMaxTileProductRows);

// Rows of activations of a feed-forward in f32 between its product and their tiles: few, so that
// they stay in the second-level cache, where the weights do too and cost little to read again.
constexpr int kInnerRows = 128;
constexpr size_t kCachedWeights = size_t{1} << 20;

// Columns that floats are multiplied with at a time: as many as leave the activations of 256 rows
// in the second-level cache, whatever rows a call has, so that sums do not depend on them. Sums of
// codes are exact only as a whole.
int RangeColumns(TileType type, int in) {
  constexpr int kRangeBlockBytes = 48 << 10;  // of 16 rows
  if (type == TileType::kInt8) return in;
  return kRangeBlockBytes / static_cast<int>(kTileBytes * TileParts(type)) * TileColumns(type);
}

int TotalOutputs(std::span<const TileSegment> segments) {
  int out = 0;
  for (const TileSegment& segment : segments) out += segment.out;
  return out;
}

class TileStep final : public LinearStep {
 public:
  TileStep(const KernelSet& kernels, int in, const StepInput& input,
           std::vector<TileSegment> segments, std::optional<KernelActivation> activation)
      : LinearStep(TotalOutputs(segments), in),
        kernels_(kernels),
        input_(input),
        segments_(std::move(segments)),
        activation_(activation) {
    for (TileSegment& segment : segments_) {
      segment.scale.resize(PaddedOutputs(segment.out));
      segment.bias.resize(PaddedOutputs(segment.out));
      if (input_.type != TileType::kInt8) continue;
      first_sums_.push_back(FirstSums(*segment.panels, segment.out, in, kernels.code_offset));
    }
  }

  StepInput input() const override { return input_; }
  bool activates() const override { return activation_.has_value(); }
  bool gives_half() const override {
    return kernels_.half != TileType::kNone && input_.type != TileType::kSplitBf16 && !activates();
  }
  std::string implementation() const override {
    switch (input_.type) {
      case TileType::kInt8:
        return absl::StrCat("int8 ", input_.input_scale > 0 ? "static" : "dynamic",
                            kernels_.Has(TileType::kBf16) ? " own:amx_int8" : " own:avx512_vnni");
      case TileType::kBf16:
        return "own:amx_bf16";
      case TileType::kF16:
        return "own:avx512_fp16";
      default:
        return "own:amx_bf16x3";
    }
  }
  size_t bytes() const override {
    size_t bytes = 0;
    for (const TileSegment& segment : segments_) bytes += SegmentBytes(segment);
    for (const std::vector<int32_t>& sums : first_sums_) bytes += sums.size() * sizeof(int32_t);
    return bytes;
  }
  size_t scratch_bytes() const override { return TilesBytes() + kMaxProductRows * sizeof(float); }

  bool Run(int, const Rows& x, int rows, const Rows& y, std::byte* scratch) const override {
    if (!y.HasTiles() || GivesTiles(y)) {
      Multiply(x, rows, y, scratch);
    } else {
      const int rows_at_once = bytes() > kCachedWeights ? kMaxProductRows : kInnerRows;
      for (int begin = 0; begin < rows; begin += rows_at_once) {
        const int count = std::min(rows_at_once, rows - begin);
        Multiply(x.From(begin), count, y.For({}), scratch);  // f32, always the same rows
        kernels_.store_tiles(
            {.x = y.f32, .x_stride = y.width, .rows = count, .tiles = y.From(begin).tiles});
      }
    }
    return true;
  }

  bool has_shares() const override { return true; }
  void RunShare(const Rows& x, int rows, const Rows& y, int share, int shares) const override {
    const int panels = TotalPanels();
    MultiplyRanges(x.tiles, rows, GivesTiles(y) ? y : y.For({}),
                   {panels * share / shares, panels * (share + 1) / shares});
  }
  bool GivesTiles(const Rows& y) const override {
    return input_.type != TileType::kInt8 && activates() && y.tiles.type == input_.type;
  }

 private:
  // Of the panels of all segments, one after the other.
  struct PanelRange {
    int first, end;
  };

  int TotalPanels() const {
    int panels = 0;
    for (const TileSegment& segment : segments_) panels += PaddedOutputs(segment.out);
    return panels / kPanelOutputs;
  }

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
    MultiplyRanges(tiles, rows, y, {0, TotalPanels()});
  }

  void MultiplyRanges(const TileRows& tiles, int rows, const Rows& y, PanelRange panels) const {
    // Only what is f32 can be added to.
    const bool is_f32 = !activates() && y.half == nullptr;
    const int range = is_f32 ? RangeColumns(input_.type, in()) : in();
    for (int first = 0; first < in(); first += range) {
      MultiplyRange(tiles, rows, first, std::min(range, in() - first), y, panels);
    }
  }

  void MultiplyRange(const TileRows& tiles, int rows, int first_column, int columns, const Rows& y,
                     PanelRange panels) const {
    int panel = 0;      // of those before the segment
    size_t column = 0;  // the same in outputs
    for (size_t i = 0; i < segments_.size(); ++i) {
      const TileSegment& segment = segments_[i];
      const int count = PaddedOutputs(segment.out) / kPanelOutputs;
      const int first = std::max(panels.first - panel, 0);
      const int end = std::min(panels.end - panel, count);
      if (first < end) {
        const int output = first * kPanelOutputs;
        kernels_.tile_product(
            {.x = tiles,
             .weight = segment.panels->data.data() + first * segment.panels->panel_bytes(),
             .panel_bytes = segment.panels->panel_bytes(),
             .first_column = first_column,
             .columns = columns,
             .adds = first_column > 0,
             .rows = rows,
             .out = std::min(segment.out, end * kPanelOutputs) - output,
             .first_sums = first_sums_.empty() ? nullptr : first_sums_[i].data() + output,
             .column_scale = segment.scale.data() + output,
             .bias = segment.bias.data() + output,
             .activates = activates(),
             .activation = activation_.value_or(KernelActivation::kRelu),
             .y = y.HasTiles() ? nullptr : y.f32 + column + output,
             .y_stride = y.width,
             .y_half = y.half == nullptr ? nullptr : y.half + column + output,
             .y_tiles = Columns(y.tiles, output)});
      }
      panel += count;
      column += static_cast<size_t>(segment.out);
    }
  }

  // The tiles from an output on that begins a panel, and so a tile of floats.
  static TileRows Columns(TileRows tiles, int output) {
    if (tiles.type == TileType::kNone || output == 0) return tiles;
    tiles.data +=
        static_cast<size_t>(output / TileColumns(tiles.type)) * kTileBytes * TileParts(tiles.type);
    return tiles;
  }

  const KernelSet& kernels_;
  const StepInput input_;
  std::vector<TileSegment> segments_;             // scale and bias are padded
  std::vector<std::vector<int32_t>> first_sums_;  // of kInt8: one vector a segment
  const std::optional<KernelActivation> activation_;
};

template <typename T>
std::vector<T> Copy(std::span<const T> values) {
  return {values.begin(), values.end()};
}

}  // namespace

size_t SegmentBytes(const TileSegment& segment) {
  return segment.panels->panel_bytes() * (PaddedOutputs(segment.out) / kPanelOutputs) +
         (segment.scale.size() + segment.bias.size()) * sizeof(float);
}

std::unique_ptr<LinearStep> MakeTileStep(const KernelSet& kernels, int in, float input_scale,
                                         std::vector<TileSegment> segments,
                                         std::optional<KernelActivation> activation) {
  TAILOR_CHECK(kernels.Has(TileType::kInt8) && !segments.empty());
  TAILOR_CHECK(segments.size() == 1 || !activation);
  const TileType type = segments.front().panels->type;
  for (const TileSegment& segment : segments) {
    const TilePanels& panels = *segment.panels;
    TAILOR_CHECK(panels.type == type && panels.out >= segment.out && panels.in >= in);
  }
  return std::make_unique<TileStep>(kernels, in,
                                    StepInput{.type = type, .input_scale = input_scale},
                                    std::move(segments), activation);
}

std::unique_ptr<LinearStep> MakeTileStep(const KernelSet& kernels, TileType type,
                                         std::span<const float> weight, int out, int in,
                                         const StepOutput& output) {
  TAILOR_CHECK(weight.size() == static_cast<size_t>(out) * in);
  std::vector<TileSegment> segments(1);
  segments[0] = {.panels = std::make_shared<TilePanels>(PackFloats(type, weight, out, in)),
                 .out = out,
                 .scale = {},
                 .bias = Copy(output.bias)};
  return MakeTileStep(kernels, in, 0, std::move(segments), output.activation);
}

std::unique_ptr<LinearStep> MakeTileStep(const KernelSet& kernels, const Int8Weights& weights,
                                         int in, const StepOutput& output) {
  const int out = static_cast<int>(weights.scale.size());
  TAILOR_CHECK(weights.codes.size() == weights.scale.size() * in);
  std::vector<TileSegment> segments(1);
  segments[0] = {.panels = std::make_shared<TilePanels>(PackCodes(weights.codes, out, in)),
                 .out = out,
                 .scale = Copy(weights.scale),
                 .bias = Copy(output.bias)};
  return MakeTileStep(kernels, in, weights.input_scale, std::move(segments), output.activation);
}

}  // namespace tailor
