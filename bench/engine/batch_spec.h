// SPDX-License-Identifier: Apache-2.0
// Named batches of engine benchmarks, the same in every run.
#pragma once

#include <string>

#include "absl/status/statusor.h"

#include "engine/api/batch.h"
#include "engine/model/bert_config.h"

namespace tailor::bench {

// "16x128": 16 sequences of 128 tokens. "rag32" and "rag256": 32 and 256 sequences of log-normal
// lengths, 1,910 and 15,397 tokens, the longest 136 and 164. No sequence is longer than the model's
// positions. Token ids are arbitrary but fixed, types change in the middle of a sequence.
absl::StatusOr<Batch> MakeBatch(const std::string& spec, const BertConfig& config);

}  // namespace tailor::bench
