// SPDX-License-Identifier: Apache-2.0
// Every kernel of the GPU engine, as a value: what the forward pass hands to the call layer.
#pragma once

#include <variant>

#include "engine/cuda/kernels/attention.h"
#include "engine/cuda/kernels/bias_activation.h"
#include "engine/cuda/kernels/embed_layer_norm.h"
#include "engine/cuda/kernels/pool_rows.h"
#include "engine/cuda/kernels/residual_layer_norm.h"

namespace tailor::cuda {

using KernelCall =
    std::variant<EmbedLayerNorm, ResidualLayerNorm, BiasActivation, Attention, PoolRows>;

}  // namespace tailor::cuda
