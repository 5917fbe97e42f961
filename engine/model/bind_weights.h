// SPDX-License-Identifier: Apache-2.0
// Finds every tensor that a configuration needs, checks its shape, and only then reads it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

#include "engine/model/bert_config.h"
#include "engine/model/bert_weights.h"
#include "engine/model/weight_files.h"

namespace tailor {

// Tensors by canonical name (tensor_names.h). Refers to the WeightFiles.
using TensorIndex = std::map<std::string, const WeightFiles::Tensor*>;
absl::StatusOr<TensorIndex> IndexTensors(const WeightFiles& files);

struct BoundWeights {
  BertWeights weights;
  std::shared_ptr<const void> storage;
  int64_t num_parameters = 0;
  int64_t weight_bytes = 0;
};

// On entry the attention and ffn references of config->layers are layer indices of the tensor
// names; on return they index the result. Refuses missing tensors, other shapes or types, and
// tensors that neither the model reads nor IsHarmlessTensor knows.
absl::StatusOr<BoundWeights> BindWeights(const WeightFiles& files, const TensorIndex& index,
                                         BertConfig* config);

}  // namespace tailor
