// SPDX-License-Identifier: Apache-2.0
// Sequences that go through the layers together.
#pragma once

#include <algorithm>
#include <span>

#include "engine/api/batch.h"

namespace tailor {

// Packed in the order of `sequences`; [begin, end) are the rows of them that one thread computes:
// all rows, unless the threads share the group.
struct SequenceGroup {
  std::span<const int> sequences;  // indices into the batch
  int begin = 0;
  int end = 0;
};

// Rows of a group: enough for efficient products, and few enough that a group's activations stay in
// the second-level cache. A single longer sequence makes a longer group.
constexpr int kGroupRows = 256;

// The first sequences of `rest` (not empty), so that all groups become about equally large.
SequenceGroup TakeGroup(const Batch& batch, std::span<const int> rest);

// Part of one sequence that lies in a group's [begin, end).
struct SequencePart {
  int sequence = 0;  // index into the batch
  int first = 0;     // row of its first token in the group
  int begin = 0;     // rows of the part
  int end = 0;

  bool has_first_row() const { return begin == first; }
};

// Calls step(SequencePart) for every sequence of which the group's [begin, end) has rows.
template <typename Step>
void ForEachPart(const Batch& batch, const SequenceGroup& group, const Step& step) {
  int first = 0;
  for (const int sequence : group.sequences) {
    const int next = first + batch.sequence_tokens(sequence);
    const SequencePart part = {.sequence = sequence,
                               .first = first,
                               .begin = std::max(first, group.begin),
                               .end = std::min(next, group.end)};
    if (part.begin < part.end) step(part);
    first = next;
  }
}

}  // namespace tailor
