// SPDX-License-Identifier: Apache-2.0
// What a product of the encoder multiplies with, whatever form its weights are stored in.
#pragma once

#include <vector>

#include "engine/model/model_package.h"

namespace tailor {

// Whether `linear`, one of the six products of an encoder layer of `package`, is computed on 8-bit
// integers: its codes are stored, or the package's format asks for it. A package may mix both.
bool IsInt8(const ModelPackage& package, const LinearWeights& linear);

// How many of the encoder's products are int8, and of how many.
struct Int8Share {
  int int8 = 0;
  int products = 0;
};
Int8Share CountInt8(const ModelPackage& package);

// The format that most products are computed in: of stored codes int8, whatever package.format says
// of the others.
WeightFormat MainFormat(const ModelPackage& package);

// The weights as f32 [out, in]: stored codes times their row's scale; floats as they are.
std::vector<float> DenseWeights(const LinearWeights& linear);

}  // namespace tailor
