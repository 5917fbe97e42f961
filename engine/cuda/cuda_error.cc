// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/cuda_error.h"

#include <string>

#include "absl/strings/str_cat.h"

namespace tailor::cuda {

bool IsSticky(Error error) {
  switch (error) {
    case Error::kDevicesUnavailable:
    case Error::kEccUncorrectable:
    case Error::kNvlinkUncorrectable:
    case Error::kContained:
    case Error::kIllegalAddress:
    case Error::kLaunchTimeout:
    case Error::kContextIsDestroyed:
    case Error::kAssert:
    case Error::kHardwareStackError:
    case Error::kIllegalInstruction:
    case Error::kMisalignedAddress:
    case Error::kInvalidAddressSpace:
    case Error::kInvalidPc:
    case Error::kLaunchFailure:
    case Error::kTensorMemoryLeak:
    case Error::kMpsClientTerminated:
    case Error::kUnknown:
      return true;
    default:
      return false;
  }
}

std::string_view ErrorName(Error error) {
  switch (error) {
    case Error::kSuccess:
      return "success";
    case Error::kInvalidValue:
      return "invalid value";
    case Error::kMemoryAllocation:
      return "out of memory";
    case Error::kInsufficientDriver:
      return "no driver, or one older than this build's CUDA";
    case Error::kDevicesUnavailable:
      return "devices busy or unavailable";
    case Error::kNoDevice:
      return "no GPU";
    case Error::kInvalidDevice:
      return "no such GPU";
    case Error::kEccUncorrectable:
      return "uncorrectable memory error";
    case Error::kNvlinkUncorrectable:
      return "uncorrectable NVLink error";
    case Error::kContained:
      return "an error that was contained";
    case Error::kIllegalAddress:
      return "illegal address";
    case Error::kLaunchOutOfResources:
      return "too many resources asked for a launch";
    case Error::kLaunchTimeout:
      return "launch timed out";
    case Error::kContextIsDestroyed:
      return "context destroyed";
    case Error::kAssert:
      return "assertion in a kernel";
    case Error::kHardwareStackError:
      return "hardware stack error";
    case Error::kIllegalInstruction:
      return "illegal instruction";
    case Error::kMisalignedAddress:
      return "misaligned address";
    case Error::kInvalidAddressSpace:
      return "invalid address space";
    case Error::kInvalidPc:
      return "invalid program counter";
    case Error::kLaunchFailure:
      return "launch failed";
    case Error::kTensorMemoryLeak:
      return "tensor memory leak";
    case Error::kMpsClientTerminated:
      return "client terminated by MPS";
    case Error::kUnknown:
      return "unknown error";
  }
  return "see the CUDA runtime's list of errors";
}

absl::Status ToStatus(Error error, std::string_view call) {
  if (error == Error::kSuccess) return absl::OkStatus();
  const std::string message =
      absl::StrCat("CUDA: ", std::string(call), " failed with error ", static_cast<int>(error),
                   ", ", std::string(ErrorName(error)));
  if (IsSticky(error)) return absl::UnavailableError(message);
  if (error == Error::kMemoryAllocation) return absl::ResourceExhaustedError(message);
  return absl::InternalError(message);
}

}  // namespace tailor::cuda
