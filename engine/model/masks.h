// SPDX-License-Identifier: Apache-2.0
// Masks of a derived variant: a factor on what each head and each inner neuron gives.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "engine/model/model_folder.h"
#include "engine/model/model_package.h"
#include "engine/model/tensor_pool.h"

namespace tailor {

struct Masks {
  std::vector<std::vector<float>> heads;    // [layers][heads of this layer]
  std::vector<std::vector<float>> neurons;  // [layers][ffn_dim of this layer]
};

// Reads the safetensors file `name`: f32 tensors "heads" [layers, most heads of a layer] and
// "neurons" [layers, largest ffn_dim], 0 where a layer has fewer. Errors start with `name`.
absl::StatusOr<Masks> ReadMasks(const ModelFolder& folder, const std::string& name,
                                const BertConfig& config);

// Makes `package`, a copy of the parent, what the masks leave of it: heads and neurons of factor 0
// are cut out, other factors go into the columns of the product that reads them. Changed tensors go
// to `pool`; layers whose factors are all 1 keep the parent's. InvalidArgument when factors other
// than 0 and 1 meet stored codes.
absl::Status ApplyMasks(const Masks& masks, ModelPackage* package, TensorPool* pool);

}  // namespace tailor
