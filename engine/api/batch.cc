// SPDX-License-Identifier: Apache-2.0
#include "engine/api/batch.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

#include "base/check.h"
#include "base/status_macros.h"

namespace tailor {
namespace {

absl::Status CheckIds(const char* name, std::span<const int32_t> ids, int bound) {
  // One pass without branches on the values, then a second one only to name the culprit.
  uint32_t largest = 0;  // a negative id is a huge unsigned one
  for (const int32_t id : ids) largest = std::max(largest, static_cast<uint32_t>(id));
  if (largest < static_cast<uint32_t>(bound)) return absl::OkStatus();
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < 0 || ids[i] >= bound) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, "[", i, "]: expected 0..", bound - 1, ", got ", ids[i]));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckOffsets(const Batch& batch, const BatchLimits& limits) {
  const std::vector<int32_t>& offsets = batch.sequence_offsets;
  if (offsets.empty() || offsets.front() != 0) {
    return absl::InvalidArgumentError("sequence_offsets: expected to start at 0");
  }
  for (size_t i = 1; i < offsets.size(); ++i) {
    // In 64 bits: hostile offsets must not overflow the difference.
    const int64_t tokens = static_cast<int64_t>(offsets[i]) - offsets[i - 1];
    if (tokens < 1 || tokens > limits.max_sequence_tokens) {
      return absl::InvalidArgumentError(absl::StrCat("sequence ", i - 1, ": expected 1..",
                                                     limits.max_sequence_tokens, " tokens, got ",
                                                     tokens));
    }
  }
  if (offsets.back() != batch.num_tokens()) {
    return absl::InvalidArgumentError(absl::StrCat("sequence_offsets: expected to end at ",
                                                   batch.num_tokens(), ", got ", offsets.back()));
  }
  return absl::OkStatus();
}

}  // namespace

void Batch::Clear() {
  token_ids.clear();
  token_type_ids.clear();
  sequence_offsets.resize(1);
  sequence_offsets[0] = 0;
}

void Batch::Reserve(const BatchLimits& limits) {
  token_ids.reserve(limits.max_tokens);
  token_type_ids.reserve(limits.max_tokens);
  sequence_offsets.reserve(limits.max_sequences + 1);
}

void Batch::Append(std::span<const int32_t> ids, std::span<const int32_t> types) {
  TAILOR_CHECK(ids.size() == types.size());
  token_ids.insert(token_ids.end(), ids.begin(), ids.end());
  token_type_ids.insert(token_type_ids.end(), types.begin(), types.end());
  sequence_offsets.push_back(num_tokens());
}

absl::Status Batch::Validate(const BatchLimits& limits, int vocab_size, int num_token_types) const {
  if (token_ids.size() > static_cast<size_t>(limits.max_tokens)) {
    return absl::InvalidArgumentError(absl::StrCat("token_ids: expected at most ",
                                                   limits.max_tokens, ", got ", token_ids.size()));
  }
  if (token_type_ids.size() != token_ids.size()) {
    return absl::InvalidArgumentError(absl::StrCat("token_type_ids: expected ", token_ids.size(),
                                                   " entries, got ", token_type_ids.size()));
  }
  if (sequence_offsets.size() > static_cast<size_t>(limits.max_sequences) + 1) {
    return absl::InvalidArgumentError(absl::StrCat("sequences: expected at most ",
                                                   limits.max_sequences, ", got ",
                                                   sequence_offsets.size() - 1));
  }
  TAILOR_RETURN_IF_ERROR(CheckOffsets(*this, limits));
  TAILOR_RETURN_IF_ERROR(CheckIds("token_ids", token_ids, vocab_size));
  if (num_token_types == 0) return absl::OkStatus();
  return CheckIds("token_type_ids", token_type_ids, num_token_types);
}

}  // namespace tailor
