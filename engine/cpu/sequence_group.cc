// SPDX-License-Identifier: Apache-2.0
#include "engine/cpu/sequence_group.h"

namespace tailor {

SequenceGroup TakeGroup(const Batch& batch, std::span<const int> rest) {
  int total = 0;
  for (const int sequence : rest) total += batch.sequence_tokens(sequence);
  const int groups = (total + kGroupRows - 1) / kGroupRows;
  const int target = (total + groups - 1) / groups;
  int rows = batch.sequence_tokens(rest[0]);
  size_t count = 1;
  for (; count < rest.size(); ++count) {
    const int next = batch.sequence_tokens(rest[count]);
    if (rows + next > kGroupRows || rows + next / 2 > target) break;
    rows += next;
  }
  return {.sequences = rest.first(count), .begin = 0, .end = rows};
}

}  // namespace tailor
