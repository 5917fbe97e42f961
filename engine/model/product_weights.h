// SPDX-License-Identifier: Apache-2.0
// What a product of the encoder multiplies with, whatever form its weights are stored in.
#pragma once

#include <vector>

#include "engine/model/model_package.h"

namespace tailor {

// Whether `linear`, one of the six products of an encoder layer of `package`, is computed on 8-bit
// integers: its codes are stored, or the package's format asks for it. A package may mix both.
bool IsInt8(const ModelPackage& package, const LinearWeights& linear);

// The weights as f32 [out, in]: stored codes times their row's scale; floats as they are.
std::vector<float> DenseWeights(const LinearWeights& linear);

}  // namespace tailor
