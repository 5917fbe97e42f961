// SPDX-License-Identifier: Apache-2.0
// What calls of the CUDA runtime return, without CUDA's headers, and what it means for a request.
#pragma once

#include <string_view>

#include "absl/status/status.h"

namespace tailor::cuda {

// Numbers of cudaError_t (CUDA Runtime API, "Data types used by CUDA Runtime"); any other number
// may come too.
enum class Error : int {
  kSuccess = 0,
  kInvalidValue = 1,
  kMemoryAllocation = 2,
  kInsufficientDriver = 35,
  kDevicesUnavailable = 46,
  kNoDevice = 100,
  kInvalidDevice = 101,
  kEccUncorrectable = 214,
  kNvlinkUncorrectable = 220,
  kContained = 226,
  kIllegalAddress = 700,
  kLaunchOutOfResources = 701,
  kLaunchTimeout = 702,
  kContextIsDestroyed = 709,
  kAssert = 710,
  kHardwareStackError = 714,
  kIllegalInstruction = 715,
  kMisalignedAddress = 716,
  kInvalidAddressSpace = 717,
  kInvalidPc = 718,
  kLaunchFailure = 719,
  kTensorMemoryLeak = 721,
  kMpsClientTerminated = 810,
  kUnknown = 999,
};

// Whether every later call of this process will fail too: the errors of which CUDA's documentation
// says that the process must be ended and started again, and those that it cannot name.
bool IsSticky(Error error);

// "out of memory"; of numbers that are not listed above, where to look.
std::string_view ErrorName(Error error);

// OK; Unavailable for sticky errors, ResourceExhausted for kMemoryAllocation, else Internal. The
// message says which `call` failed and how.
absl::Status ToStatus(Error error, std::string_view call);

}  // namespace tailor::cuda
