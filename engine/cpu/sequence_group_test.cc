// SPDX-License-Identifier: Apache-2.0
#include "engine/cpu/sequence_group.h"

#include <numeric>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tailor {
namespace {

using ::testing::ElementsAre;

Batch OfLengths(const std::vector<int>& lengths) {
  Batch batch;
  for (const int length : lengths) {
    batch.Append(std::vector<int32_t>(length, 0), std::vector<int32_t>(length, 0));
  }
  return batch;
}

// Rows of each group, when all sequences are taken in order.
std::vector<int> GroupRows(const Batch& batch) {
  std::vector<int> order(batch.num_sequences());
  std::iota(order.begin(), order.end(), 0);
  std::vector<int> rows;
  for (std::span<const int> rest = order; !rest.empty();) {
    const SequenceGroup group = TakeGroup(batch, rest);
    rows.push_back(group.end);
    rest = rest.subspan(group.sequences.size());
  }
  return rows;
}

TEST(SequenceGroup, SmallBatchesAreOneGroup) {
  EXPECT_THAT(GroupRows(OfLengths({10, 100, 146})), ElementsAre(256));
}

TEST(SequenceGroup, GroupsAreAboutEqual) {
  EXPECT_THAT(GroupRows(OfLengths(std::vector<int>(30, 10))), ElementsAre(150, 150));
}

TEST(SequenceGroup, ALongSequenceIsNeverCut) {
  EXPECT_THAT(GroupRows(OfLengths({512, 20, 20})), ElementsAre(512, 40));
}

TEST(SequenceGroup, PartsCoverTheRowsOfAThread) {
  const Batch batch = OfLengths({5, 3, 8});
  const std::vector<int> order = {0, 1, 2};
  std::vector<int> seen;
  ForEachPart(batch, {.sequences = order, .begin = 4, .end = 8}, [&](const SequencePart& part) {
    seen.insert(seen.end(), {part.sequence, part.first, part.begin, part.end});
    EXPECT_EQ(part.has_first_row(), part.sequence == 1);
  });
  EXPECT_THAT(seen, ElementsAre(0, 0, 4, 5, 1, 5, 5, 8));
}

}  // namespace
}  // namespace tailor
