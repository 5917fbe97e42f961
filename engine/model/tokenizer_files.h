// SPDX-License-Identifier: Apache-2.0
// The WordPiece vocabulary and its options, from vocab.txt or tokenizer.json.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"

#include "engine/model/model_folder.h"
#include "engine/model/model_package.h"

namespace tailor {

struct TokenizerFiles {
  TokenizerSpec spec;
  std::string file_sha256;        // of vocab.txt as it is on disk; empty without one
  std::optional<int> max_tokens;  // tokenizer_config.json's model_max_length, when it is a length
};

// vocab.txt counts when it is there, and tokenizer.json must then have the same entries. Options:
// tokenizer_config.json, else the normalizer of tokenizer.json, else lower-casing; accents are
// stripped with lower-casing unless told otherwise, as Hugging Face does. Tokenizers other than
// BERT's WordPiece are refused.
absl::StatusOr<TokenizerFiles> ReadTokenizerFiles(const ModelFolder& folder);

}  // namespace tailor
