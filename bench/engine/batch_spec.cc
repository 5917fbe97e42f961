// SPDX-License-Identifier: Apache-2.0
#include "bench/engine/batch_spec.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace tailor::bench {
namespace {

// numpy: clip(round(exp(default_rng(65).normal(4.0, 0.42, 32))), 8, 400).
const std::vector<int> kRag32 = {34, 59, 92, 28, 42, 40, 57, 59, 32, 61,  73, 118, 53, 88, 49, 31,
                                 69, 31, 69, 67, 83, 37, 58, 49, 83, 112, 50, 30,  39, 52, 29, 136};

uint32_t NextRandom(uint32_t state) {
  return state * 1664525U + 1013904223U;  // Numerical Recipes' generator
}

// 256 lengths of the same log-normal distribution, 15,397 tokens, longest 164; a normal deviate is
// the sum of 12 uniform ones less 6.
std::vector<int> Rag256() {
  std::vector<int> lengths(256);
  uint32_t state = 1;
  for (int& length : lengths) {
    double normal = -6;
    for (int i = 0; i < 12; ++i) {
      state = NextRandom(state);
      normal += (state >> 8) / static_cast<double>(1U << 24);
    }
    length = static_cast<int>(std::clamp(std::round(std::exp(4.0 + 0.42 * normal)), 8.0, 256.0));
  }
  return lengths;
}

absl::StatusOr<std::vector<int>> Lengths(const std::string& spec) {
  if (spec == "rag32") return kRag32;
  if (spec == "rag256") return Rag256();
  const std::vector<std::string> parts = absl::StrSplit(spec, 'x');
  int sequences = 0;
  int tokens = 0;
  if (parts.size() != 2 || !absl::SimpleAtoi(parts[0], &sequences) ||
      !absl::SimpleAtoi(parts[1], &tokens) || sequences < 1 || tokens < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("batch: expected rag32, rag256 or SEQUENCESxTOKENS, got \"", spec, "\""));
  }
  return std::vector<int>(sequences, tokens);
}

}  // namespace

absl::StatusOr<Batch> MakeBatch(const std::string& spec, const BertConfig& config) {
  absl::StatusOr<std::vector<int>> lengths = Lengths(spec);
  if (!lengths.ok()) return lengths.status();
  // A model that serves short pairs truncates what is longer.
  for (int& length : *lengths) length = std::min(length, config.max_positions);
  Batch batch;
  uint32_t state = 1;
  for (const int length : *lengths) {
    std::vector<int32_t> ids(length);
    std::vector<int32_t> types(length, 0);
    for (int i = 0; i < length; ++i) {
      state = NextRandom(state);
      ids[i] = static_cast<int32_t>((state >> 8) % static_cast<uint32_t>(config.vocab_size));
      types[i] = config.num_token_types > 1 && i >= length / 2 ? 1 : 0;
    }
    batch.Append(ids, types);
  }
  return batch;
}

}  // namespace tailor::bench
