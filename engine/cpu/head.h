// SPDX-License-Identifier: Apache-2.0
// The last steps from encoder rows to outputs: too small for kernels of their own. All in f32.
#pragma once

#include <span>

#include "engine/cpu/packed_model.h"

namespace tailor {

// The kernel that a pooler's activation is. kNone has none: a broken invariant.
KernelActivation PoolerKernel(PoolerActivation activation);

// Logits or embedding of one sequence from its pooled row [hidden].
void WriteOutput(const PackedModel& model, const float* pooled, std::span<float> output);

// output = mean of rows [count, output.size()].
void MeanRows(const float* rows, int count, std::span<float> output);

// Scales to length 1, with PyTorch's lower bound of 1e-12 on the length.
void NormalizeLength(std::span<float> row);

}  // namespace tailor
