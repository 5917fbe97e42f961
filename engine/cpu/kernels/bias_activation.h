// SPDX-License-Identifier: Apache-2.0
// out = activation(x + bias), element by element.
//   gelu_erf:  x/2 * (1 + erf(x / sqrt(2))), erf within 1e-6 of the true value
//   gelu_tanh: x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3)))
// Tolerance: docs/numerics.md, "activations".
#pragma once

#include <cstddef>
#include <cstdint>

namespace tailor {

enum class KernelActivation { kGeluErf, kGeluTanh, kRelu, kTanh, kTanhRelu };

struct BiasActivationArgs {
  const float* x;     // [rows, columns]
  const float* bias;  // [columns]
  KernelActivation activation;
  int rows;
  int columns;
  float* out;  // [rows, columns], may be x
};

using BiasActivationFn = void (*)(const BiasActivationArgs& args) noexcept;

}  // namespace tailor
