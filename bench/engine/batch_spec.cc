// SPDX-License-Identifier: Apache-2.0
#include "bench/engine/batch_spec.h"

#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace tailor::bench {
namespace {

// numpy: clip(round(exp(default_rng(65).normal(4.0, 0.42, 32))), 8, 400).
const std::vector<int> kRag32 = {34, 59, 92, 28, 42, 40, 57, 59, 32, 61,  73, 118, 53, 88, 49, 31,
                                 69, 31, 69, 67, 83, 37, 58, 49, 83, 112, 50, 30,  39, 52, 29, 136};

absl::StatusOr<std::vector<int>> Lengths(const std::string& spec) {
  if (spec == "rag32") return kRag32;
  const std::vector<std::string> parts = absl::StrSplit(spec, 'x');
  int sequences = 0;
  int tokens = 0;
  if (parts.size() != 2 || !absl::SimpleAtoi(parts[0], &sequences) ||
      !absl::SimpleAtoi(parts[1], &tokens) || sequences < 1 || tokens < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("batch: expected rag32 or SEQUENCESxTOKENS, got \"", spec, "\""));
  }
  return std::vector<int>(sequences, tokens);
}

}  // namespace

absl::StatusOr<Batch> MakeBatch(const std::string& spec, const BertConfig& config) {
  const absl::StatusOr<std::vector<int>> lengths = Lengths(spec);
  if (!lengths.ok()) return lengths.status();
  Batch batch;
  uint32_t state = 1;
  for (const int length : *lengths) {
    std::vector<int32_t> ids(length);
    std::vector<int32_t> types(length, 0);
    for (int i = 0; i < length; ++i) {
      state = state * 1664525U + 1013904223U;  // Numerical Recipes' generator
      ids[i] = static_cast<int32_t>((state >> 8) % static_cast<uint32_t>(config.vocab_size));
      types[i] = config.num_token_types > 1 && i >= length / 2 ? 1 : 0;
    }
    batch.Append(ids, types);
  }
  return batch;
}

}  // namespace tailor::bench
