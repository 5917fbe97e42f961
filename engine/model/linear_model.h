// SPDX-License-Identifier: Apache-2.0
// A variant without layers: a linear score of features of the pair's tokens (docs/bundle.md,
// "Linear floor"). Plain values; filled and validated by the loader.
#pragma once

#include <cstdint>

#include "engine/tensor/tensor_view.h"

namespace tailor {

// The one version of the features that this engine computes, and how many are not hashed.
inline constexpr int kLinearFeatures = 1;
inline constexpr int kDenseFeatures = 16;

struct LinearSpec {
  int bits = 0;  // 2^bits hashed weights
  uint32_t hash_seed = 0;
  double average_length = 1;  // of a document in tokens, for BM25
};

struct LinearModel {
  LinearSpec spec;
  TensorView dense;   // [kDenseFeatures]
  TensorView hashed;  // [2^bits]
  TensorView idf;     // [vocabulary]
};

}  // namespace tailor
