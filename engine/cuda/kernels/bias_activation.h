// SPDX-License-Identifier: Apache-2.0
// What follows a product with a non-linearity.
#pragma once

#include <cstdint>

#include "engine/cuda/kernels/element.h"

namespace tailor::cuda {

enum class Activation { kNone, kGeluErf, kGeluTanh, kRelu, kTanh, kTanhRelu };

// values[r] = activation(values[r] + bias), in f32 until it is stored. Device memory.
struct BiasActivation {
  Element element = Element::kF32;  // of values
  Activation activation = Activation::kNone;
  int rows = 0;
  int columns = 0;
  const float* bias = nullptr;  // [columns]
  void* values = nullptr;       // [rows, columns]
};

}  // namespace tailor::cuda
