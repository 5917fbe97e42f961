// SPDX-License-Identifier: Apache-2.0
// A product's matrix on its way from the package to its step: in its format, and still cut, stacked
// and scaled freely.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/model/model_package.h"

namespace tailor {

struct UnpackedLinear {
  int out = 0;
  int in = 0;
  bool is_int8 = false;
  std::vector<float> weight;  // [out, in]; empty when is_int8
  std::vector<int8_t> codes;  // [out, in] when is_int8, and then
  std::vector<float> scale;   // [out]: weight = code * scale
  float input_scale = 0;      // of the codes of the inputs; 0: each row gets its own
  std::vector<float> bias;    // [out]
};

// Floats as they are: for the head, which is f32 in every format.
UnpackedLinear Unpack(const LinearWeights& weights);

// One of the encoder's products in its format: stored codes, or codes made of floats with the scale
// max|row| / 127 (1 for a row of zeros), or floats, for kF16 rounded to f16. Rounding to bf16 is
// left to the product that packs it.
UnpackedLinear UnpackProduct(const ModelPackage& package, const LinearWeights& weights);

// Weights and bias times `factor`.
UnpackedLinear Scaled(UnpackedLinear linear, float factor);

// Whether one step can compute both: the same format and the same codes of the inputs.
bool AreStackable(const UnpackedLinear& first, const UnpackedLinear& second);

// One matrix with the outputs of `first`, then those of `second`. They are stackable.
UnpackedLinear Stack(UnpackedLinear first, const UnpackedLinear& second);

// Of floats: outputs [first, first + count).
UnpackedLinear Outputs(const UnpackedLinear& linear, int first, int count);

// Of floats: what inputs [first, first + count) contribute to all outputs.
UnpackedLinear Inputs(const UnpackedLinear& linear, int first, int count);

}  // namespace tailor
