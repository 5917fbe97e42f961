// SPDX-License-Identifier: Apache-2.0
// One function of each kind, all compiled for the same instruction set.
#pragma once

#include "engine/cpu/kernels/attention.h"
#include "engine/cpu/kernels/bias_activation.h"
#include "engine/cpu/kernels/bias_residual_layer_norm.h"
#include "engine/cpu/kernels/embed_layer_norm.h"
#include "engine/cpu/kernels/half_attention.h"
#include "engine/cpu/kernels/multiply_codes.h"
#include "engine/cpu/kernels/quantize_rows.h"
#include "engine/cpu/kernels/scale_sums.h"
#include "engine/cpu/kernels/store_tiles.h"
#include "engine/cpu/kernels/tile_product.h"

namespace tailor {

struct KernelSet {
  EmbedLayerNormFn embed_layer_norm;
  BiasResidualLayerNormFn bias_residual_layer_norm;
  BiasActivationFn bias_activation;
  AttentionFn attention;
  QuantizeRowsFn quantize_rows;
  MultiplyCodesFn multiply_codes;
  ScaleSumsFn scale_sums;
  // With AMX or VNNI; null without, and then no kernel writes tiles.
  StoreTilesFn store_tiles;
  TileProductFn tile_product;
  int code_offset;  // what tiles of codes hold more than the codes: 0, or 128
  // What half rows and half tiles hold: kBf16 with AMX, kF16 with AVX512-FP16, else kNone.
  TileType half;
  HalfAttentionFn half_attention;  // null without halves

  // Whether there are tiles of this type.
  bool Has(TileType type) const {
    switch (type) {
      case TileType::kNone:
        return true;
      case TileType::kInt8:
        return tile_product != nullptr;
      case TileType::kBf16:
      case TileType::kSplitBf16:
        return half == TileType::kBf16;
      case TileType::kF16:
        return half == TileType::kF16;
    }
    return false;
  }
};

// Calling a function of a set that the host lacks is an illegal instruction: kernel_table.h
// chooses.
namespace portable {
extern const KernelSet kKernels;
}
namespace avx2 {
extern const KernelSet kKernels;
}
namespace avx512_vnni {
extern const KernelSet kKernels;
}
namespace avx512_fp16 {
extern const KernelSet kKernels;
}
namespace amx {
extern const KernelSet kKernels;
}

}  // namespace tailor
