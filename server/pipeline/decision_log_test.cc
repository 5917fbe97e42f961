// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/decision_log.h"

#include "gtest/gtest.h"

namespace tailor {
namespace {

TEST(DecisionLog, KeepsTheLastOnesNewestFirst) {
  DecisionLog log;
  for (int i = 0; i < 70; ++i) log.Add({.pairs = i});
  const auto records = log.Newest();
  ASSERT_EQ(records.size(), DecisionLog::kCapacity);
  EXPECT_EQ(records.front().pairs, 69);
  EXPECT_EQ(records.back().pairs, 20);
}

TEST(DecisionLog, SetActualFindsItsRecordWhileItIsKept) {
  DecisionLog log;
  const uint64_t first = log.Add({.pairs = 1});
  const uint64_t second = log.Add({.pairs = 2});
  log.SetActual(first, Duration(7), "rows");
  EXPECT_EQ(log.Newest()[1].actual, Duration(7));
  EXPECT_EQ(log.Newest()[1].split, "rows");
  for (size_t i = 0; i < DecisionLog::kCapacity - 1; ++i) log.Add({});
  log.SetActual(first, Duration(9), "");  // pushed out: must not hit another
  log.SetActual(second, Duration(8), "outputs");
  EXPECT_EQ(log.Newest().back().actual, Duration(8));
  for (size_t i = 0; i + 1 < DecisionLog::kCapacity; ++i) {
    EXPECT_EQ(log.Newest()[i].actual, Duration::zero());
  }
}

}  // namespace
}  // namespace tailor
