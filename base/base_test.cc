// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/checked_math.h"
#include "base/nearest_name.h"
#include "base/thread.h"

namespace tailor {
namespace {

TEST(CoresFromCpuMaxTest, RoundsUpAndIgnoresNoLimit) {
  EXPECT_EQ(CoresFromCpuMax("200000 100000"), 2);
  EXPECT_EQ(CoresFromCpuMax("150000 100000"), 2);
  EXPECT_EQ(CoresFromCpuMax("10000 100000"), 1);
  EXPECT_EQ(CoresFromCpuMax("max 100000"), 0);
  EXPECT_EQ(CoresFromCpuMax("-1 100000"), 0);
  EXPECT_EQ(CoresFromCpuMax(""), 0);
}

TEST(PinThisThreadTest, KeepsTheThreadOnOneCore) {
  const std::vector<int> before = AllowedCores();
  ASSERT_FALSE(before.empty());
  std::vector<int> pinned;
  bool is_pinned = false;
  Thread("pinned", [&] {
    is_pinned = PinThisThread(before.back());
    pinned = AllowedCores();
  }).Join();
  EXPECT_TRUE(is_pinned);
  EXPECT_EQ(pinned, std::vector<int>{before.back()});
  EXPECT_EQ(AllowedCores(), before);
}

TEST(PinThisThreadTest, RefusesACoreThatDoesNotExist) {
  EXPECT_FALSE(PinThisThread(-1));
  EXPECT_FALSE(PinThisThread(1 << 20));
}

TEST(AvailableCoresTest, IsPositive) { EXPECT_GE(AvailableCores(), 1); }

TEST(ThreadTest, RunsBodyAndJoins) {
  bool ran = false;
  {
    Thread thread("a-name-longer-than-fifteen", [&ran] { ran = true; });
  }
  EXPECT_TRUE(ran);
}

TEST(NearestNameTest, FindsTypoAndRejectsStrangers) {
  const std::array<std::string, 3> known = {"latency-budget", "listen", "family"};
  EXPECT_EQ(NearestName("latency-buget", known), "latency-budget");
  EXPECT_EQ(NearestName("famly", known), "family");
  EXPECT_EQ(NearestName("zzzzzzzzzz", known), "");
}

TEST(CheckedMathTest, RefusesOverflowAndNegativeDimensions) {
  EXPECT_EQ(CheckedMul(3, 4), 12u);
  EXPECT_FALSE(CheckedMul(SIZE_MAX, 2).has_value());
  EXPECT_EQ(CheckedElementCount(std::vector<int64_t>{2, 3, 4}), 24u);
  EXPECT_EQ(CheckedElementCount(std::vector<int64_t>{}), 1u);
  EXPECT_FALSE(CheckedElementCount(std::vector<int64_t>{2, -1}).has_value());
  EXPECT_FALSE(CheckedElementCount(std::vector<int64_t>{INT64_MAX, INT64_MAX}).has_value());
}

TEST(AlignedBufferTest, IsAlignedAndZeroed) {
  AlignedBuffer<float> buffer(17);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 64, 0u);
  for (const float value : buffer.span()) EXPECT_EQ(value, 0.0f);
}

}  // namespace
}  // namespace tailor
