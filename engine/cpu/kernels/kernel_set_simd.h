// SPDX-License-Identifier: Apache-2.0
// Defines the kernel set of the including source's instruction set.
#pragma once

#include "engine/cpu/kernels/attention_simd.h"
#include "engine/cpu/kernels/bias_activation_simd.h"
#include "engine/cpu/kernels/int8_simd.h"
#include "engine/cpu/kernels/kernel_set.h"
#include "engine/cpu/kernels/layer_norm_simd.h"
#if defined(__AMX_TILE__)
#include "engine/cpu/kernels/half_attention_amx.h"
#include "engine/cpu/kernels/tile_product_amx.h"
#elif defined(__AVX512VNNI__)
#include "engine/cpu/kernels/tile_product_vectors.h"
#endif
#if defined(__AVX512FP16__)
#include "engine/cpu/kernels/half_attention_fp16.h"
#endif

namespace tailor::TAILOR_ISA {

extern const KernelSet kKernels;
const KernelSet kKernels = {.embed_layer_norm = EmbedLayerNorm,
                            .bias_residual_layer_norm = BiasResidualLayerNorm,
                            .bias_activation = BiasActivation,
                            .attention = Attention,
                            .quantize_rows = QuantizeRows,
                            .multiply_codes = MultiplyCodes,
                            .scale_sums = ScaleSums,
#if defined(__AMX_TILE__) || defined(__AVX512VNNI__)
                            .store_tiles = StoreTiles,
                            .tile_product = TileProduct,
                            .code_offset = kCodeOffset,
                            .half = kHalf,
#else
                            .store_tiles = nullptr,
                            .tile_product = nullptr,
                            .code_offset = 0,
                            .half = TileType::kNone,
#endif
#if defined(__AMX_TILE__) || defined(__AVX512FP16__)
                            .half_attention = HalfAttention};
#else
                            .half_attention = nullptr};
#endif

}  // namespace tailor::TAILOR_ISA
