// SPDX-License-Identifier: Apache-2.0
// Linear steps on AMX tiles. Their input is best given in tiles (LinearStep::input); from f32 they
// make the tiles themselves. An output is the same whatever other rows the call has.
#pragma once

#include <memory>
#include <span>

#include "engine/cpu/linear_step.h"

namespace tailor {

// type: kBf16, or kSplitBf16 for products as exact as f32 (docs/numerics.md). weight: [out, in].
// kernels: of an instruction set with tiles; it outlives the step.
std::unique_ptr<LinearStep> MakeTileStep(const KernelSet& kernels, TileType type,
                                         std::span<const float> weight, int out, int in,
                                         const StepOutput& output);

// In kInt8.
std::unique_ptr<LinearStep> MakeTileStep(const KernelSet& kernels, const Int8Weights& weights,
                                         int in, const StepOutput& output);

}  // namespace tailor
