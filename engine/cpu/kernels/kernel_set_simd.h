// SPDX-License-Identifier: Apache-2.0
// Defines the kernel set of the including source's instruction set.
#pragma once

#include "engine/cpu/kernels/attention_simd.h"
#include "engine/cpu/kernels/bias_activation_simd.h"
#include "engine/cpu/kernels/int8_simd.h"
#include "engine/cpu/kernels/kernel_set.h"
#include "engine/cpu/kernels/layer_norm_simd.h"

namespace tailor::TAILOR_ISA {

extern const KernelSet kKernels;
const KernelSet kKernels = {.has_bf16_outputs = kHasBf16,
                            .embed_layer_norm = EmbedLayerNorm,
                            .bias_residual_layer_norm = BiasResidualLayerNorm,
                            .bias_activation = BiasActivation,
                            .attention = Attention,
                            .quantize_rows = QuantizeRows,
                            .multiply_codes = MultiplyCodes,
                            .scale_sums = ScaleSums};

}  // namespace tailor::TAILOR_ISA
