// SPDX-License-Identifier: Apache-2.0
// Linear steps on AMX tiles, or by vectors of codes and of f16. Their input is best given in tiles
// (LinearStep::input); from f32 they make the tiles themselves. An output is the same whatever
// other rows the call has.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "engine/cpu/linear_step.h"
#include "engine/cpu/tile_packing.h"

namespace tailor {

// Some of a step's outputs: the first of a matrix that other steps may share.
struct TileSegment {
  std::shared_ptr<const TilePanels> panels;  // of at least `out` outputs, and the step's inputs
  int out = 0;
  std::vector<float> scale;  // [out] of kInt8, else empty
  std::vector<float> bias;   // [out]; empty: none is added
};

// Of the panels that the segment reads, and its vectors.
size_t SegmentBytes(const TileSegment& segment);

// The outputs of all segments side by side; they have one type. input_scale: of kInt8, see
// Int8Weights. A step that activates has one segment. kernels: of an instruction set with tiles; it
// outlives the step.
std::unique_ptr<LinearStep> MakeTileStep(const KernelSet& kernels, int in, float input_scale,
                                         std::vector<TileSegment> segments,
                                         std::optional<KernelActivation> activation);

// The same of a matrix of its own. type: kBf16, kF16, or kSplitBf16 for products as exact as f32
// (docs/numerics.md). weight: [out, in].
std::unique_ptr<LinearStep> MakeTileStep(const KernelSet& kernels, TileType type,
                                         std::span<const float> weight, int out, int in,
                                         const StepOutput& output);

// In kInt8.
std::unique_ptr<LinearStep> MakeTileStep(const KernelSet& kernels, const Int8Weights& weights,
                                         int in, const StepOutput& output);

}  // namespace tailor
