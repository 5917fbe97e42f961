// SPDX-License-Identifier: Apache-2.0
// One spelling for the tensor names that BERT-family folders use.
#pragma once

#include <map>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tailor {

// Canonical name -> index into `names`. Canonical names are BERT's, without a prefix:
// "embeddings.word_embeddings.weight", "encoder.layer.0.attention.self.query.bias",
// "pooler.dense.weight", "classifier.weight". The prefix ("bert.", "model.", "0.auto_model.", none)
// is whatever stands before the word embeddings; LayerNorm.gamma and .beta and DistilBERT's names
// are translated. InvalidArgument when there are no word embeddings, or two tensors come out alike.
absl::StatusOr<std::map<std::string, size_t>> CanonicalTensorNames(
    std::span<const std::string> names);

// Canonical names that a sequence encoder never reads and that folders carry all the same: heads
// of the pre-training, index buffers.
bool IsHarmlessTensor(absl::string_view canonical_name);

}  // namespace tailor
