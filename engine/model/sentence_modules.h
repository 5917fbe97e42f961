// SPDX-License-Identifier: Apache-2.0
// The modules.json of a sentence-transformers folder: where the encoder is, and what is done with
// its rows.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"

#include "engine/model/bert_config.h"
#include "engine/model/model_folder.h"

namespace tailor {

struct SentenceModules {
  std::string transformer;         // sub-folder of the encoder's files, empty: the folder itself
  std::optional<Pooling> pooling;  // present: the folder is an embedding model
  bool normalize = false;
  std::optional<int> max_tokens;  // sentence_bert_config.json
};

// Everything absent when there is no modules.json. Modules other than Transformer, Pooling (cls or
// mean) and Normalize are refused.
absl::StatusOr<SentenceModules> ReadSentenceModules(const ModelFolder& folder);

}  // namespace tailor
