// SPDX-License-Identifier: Apache-2.0
// Finds every tensor that a configuration needs, checks its shape, and only then reads it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/status/statusor.h"

#include "engine/model/bert_config.h"
#include "engine/model/bert_weights.h"
#include "engine/model/weight_binder.h"
#include "engine/model/weight_files.h"

namespace tailor {

absl::StatusOr<TensorIndex> IndexTensors(const WeightFiles& files);

struct BoundWeights {
  BertWeights weights;
  std::shared_ptr<const void> storage;
  int64_t num_parameters = 0;
  int64_t weight_bytes = 0;
};

// On entry the attention and ffn references of config->layers are layer indices of the tensor
// names; on return they index the result. narrow: columns of the stored word embeddings, which a
// linear map brings to the hidden size; nothing when they have that size. Refuses missing tensors,
// other shapes or types, and tensors that neither the model reads nor IsHarmlessTensor knows.
absl::StatusOr<BoundWeights> BindWeights(const WeightFiles& files, const TensorIndex& index,
                                         std::optional<int> narrow, BertConfig* config);

}  // namespace tailor
