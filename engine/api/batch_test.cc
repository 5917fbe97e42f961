// SPDX-License-Identifier: Apache-2.0
#include "engine/api/batch.h"

#include <limits>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tailor {
namespace {

using ::testing::HasSubstr;

Batch TwoSequences() {
  Batch batch;
  batch.Append(std::vector<int32_t>{1, 2, 3}, std::vector<int32_t>{0, 0, 1});
  batch.Append(std::vector<int32_t>{4}, std::vector<int32_t>{0});
  return batch;
}

void ExpectRefused(const Batch& batch, const BatchLimits& limits, const std::string& message) {
  const absl::Status status = batch.Validate(limits, 5, 2);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr(message));
}

TEST(Batch, AppendPacksSequencesEndToEnd) {
  const Batch batch = TwoSequences();
  EXPECT_EQ(batch.num_tokens(), 4);
  EXPECT_EQ(batch.num_sequences(), 2);
  EXPECT_EQ(batch.sequence_tokens(0), 3);
  EXPECT_EQ(batch.sequence_tokens(1), 1);
  EXPECT_TRUE(batch.Validate({}, 5, 2).ok());
}

TEST(Batch, ClearKeepsTheCapacity) {
  Batch batch;
  batch.Reserve({.max_tokens = 100, .max_sequences = 10, .max_sequence_tokens = 50});
  const int32_t* memory = batch.token_ids.data();
  batch.Append(std::vector<int32_t>(50, 1), std::vector<int32_t>(50, 0));
  batch.Clear();
  EXPECT_EQ(batch.num_sequences(), 0);
  EXPECT_EQ(batch.token_ids.data(), memory);
  EXPECT_GE(batch.sequence_offsets.capacity(), 11U);
}

TEST(Batch, AnEmptyBatchIsValid) { EXPECT_TRUE(Batch().Validate({}, 5, 2).ok()); }

TEST(Batch, RefusesWhatExceedsALimit) {
  const Batch batch = TwoSequences();
  ExpectRefused(batch, {.max_tokens = 3}, "at most 3, got 4");
  ExpectRefused(batch, {.max_sequences = 1}, "at most 1, got 2");
  ExpectRefused(batch, {.max_sequence_tokens = 2}, "1..2 tokens, got 3");
}

TEST(Batch, RefusesBrokenOffsets) {
  Batch batch = TwoSequences();
  batch.sequence_offsets = {0, 3, 3, 4};
  ExpectRefused(batch, {}, "got 0");
  batch.sequence_offsets = {0, 3};
  ExpectRefused(batch, {}, "end at 4, got 3");
  batch.sequence_offsets = {1, 4};
  ExpectRefused(batch, {}, "start at 0");
  batch.sequence_offsets = {};
  ExpectRefused(batch, {}, "start at 0");
  batch.sequence_offsets = {0, std::numeric_limits<int32_t>::min(),
                            std::numeric_limits<int32_t>::max()};
  ExpectRefused(batch, {}, "sequence 0");
}

TEST(Batch, RefusesIdsOutsideTheTables) {
  Batch batch = TwoSequences();
  batch.token_ids[1] = 5;
  ExpectRefused(batch, {}, "token_ids[1]: expected 0..4, got 5");
  batch = TwoSequences();
  batch.token_ids[3] = -1;
  ExpectRefused(batch, {}, "token_ids[3]: expected 0..4, got -1");
  batch = TwoSequences();
  batch.token_type_ids[2] = 2;
  ExpectRefused(batch, {}, "token_type_ids[2]: expected 0..1, got 2");
}

TEST(Batch, ModelsWithoutTypesIgnoreThem) {
  Batch batch = TwoSequences();
  batch.token_type_ids[2] = 7;
  EXPECT_TRUE(batch.Validate({}, 5, 0).ok());
}

TEST(Batch, RefusesTypesOfAnotherLength) {
  Batch batch = TwoSequences();
  batch.token_type_ids.pop_back();
  ExpectRefused(batch, {}, "expected 4 entries, got 3");
}

}  // namespace
}  // namespace tailor
