// SPDX-License-Identifier: Apache-2.0
// The unit of work between the server and an engine.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"

namespace tailor {

// What a worker plans its memory for. A batch above these limits is refused by Validate.
struct BatchLimits {
  int max_tokens = 4096;
  int max_sequences = 512;
  int max_sequence_tokens = 512;
};

// Token sequences packed end to end, without padding. Sequence i occupies tokens
// [sequence_offsets[i], sequence_offsets[i + 1]); the position of a token is its index in its
// sequence. Invariants (checked by Validate): offsets start at 0, strictly increase and end at
// token_ids.size(); both id arrays have that length.
struct Batch {
  std::vector<int32_t> token_ids;            // [num_tokens]
  std::vector<int32_t> token_type_ids;       // [num_tokens]
  std::vector<int32_t> sequence_offsets{0};  // [num_sequences + 1]

  int num_tokens() const { return static_cast<int>(token_ids.size()); }
  int num_sequences() const { return static_cast<int>(sequence_offsets.size()) - 1; }
  int sequence_tokens(int i) const { return sequence_offsets[i + 1] - sequence_offsets[i]; }

  // Keeps the capacity, so that a warm batch does not allocate.
  void Clear();
  void Reserve(const BatchLimits& limits);
  // Appends one sequence; ids and types have the same length.
  void Append(std::span<const int32_t> ids, std::span<const int32_t> types);

  // InvalidArgument with what was expected and found. vocab_size and num_token_types bound the ids
  // (num_token_types 0: types are ignored).
  absl::Status Validate(const BatchLimits& limits, int vocab_size, int num_token_types) const;
};

}  // namespace tailor
