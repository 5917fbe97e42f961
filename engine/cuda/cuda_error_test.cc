// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/cuda_error.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tailor::cuda {
namespace {

using ::testing::HasSubstr;

TEST(CudaErrorTest, StickyOnesLoseTheDevice) {
  for (const int number :
       {46, 214, 220, 226, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 721, 810, 999}) {
    const absl::Status status = ToStatus(static_cast<Error>(number), "waiting");
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << number;
    EXPECT_THAT(status.message(), HasSubstr(std::to_string(number)));
  }
}

TEST(CudaErrorTest, OthersDoNot) {
  EXPECT_TRUE(ToStatus(Error::kSuccess, "waiting").ok());
  EXPECT_EQ(ToStatus(Error::kMemoryAllocation, "allocating 5 bytes").code(),
            absl::StatusCode::kResourceExhausted);
  for (const int number : {1, 35, 100, 101, 701, 12345}) {
    EXPECT_EQ(ToStatus(static_cast<Error>(number), "launching").code(), absl::StatusCode::kInternal)
        << number;
  }
}

TEST(CudaErrorTest, TheMessageSaysWhatFailedAndHow) {
  EXPECT_EQ(ToStatus(Error::kMemoryAllocation, "allocating 5 bytes").message(),
            "CUDA: allocating 5 bytes failed with error 2, out of memory");
  EXPECT_THAT(ToStatus(static_cast<Error>(12345), "launching").message(),
              HasSubstr("12345, see the CUDA runtime's list of errors"));
}

}  // namespace
}  // namespace tailor::cuda
