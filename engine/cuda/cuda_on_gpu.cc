// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/cuda_on_gpu.h"

#include <cuda_runtime_api.h>

#include <utility>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "engine/cuda/kernels/launch.h"
#include "engine/cuda/product_plans.h"

namespace tailor::cuda {
namespace {

constexpr int kOldestArchitecture = 80;

constexpr bool Is(Error error, cudaError_t number) { return static_cast<int>(error) == number; }
static_assert(Is(Error::kSuccess, cudaSuccess));
static_assert(Is(Error::kInvalidValue, cudaErrorInvalidValue));
static_assert(Is(Error::kMemoryAllocation, cudaErrorMemoryAllocation));
static_assert(Is(Error::kInsufficientDriver, cudaErrorInsufficientDriver));
static_assert(Is(Error::kDevicesUnavailable, cudaErrorDevicesUnavailable));
static_assert(Is(Error::kNoDevice, cudaErrorNoDevice));
static_assert(Is(Error::kInvalidDevice, cudaErrorInvalidDevice));
static_assert(Is(Error::kEccUncorrectable, cudaErrorECCUncorrectable));
static_assert(Is(Error::kNvlinkUncorrectable, cudaErrorNvlinkUncorrectable));
static_assert(Is(Error::kContained, cudaErrorContained));
static_assert(Is(Error::kIllegalAddress, cudaErrorIllegalAddress));
static_assert(Is(Error::kLaunchOutOfResources, cudaErrorLaunchOutOfResources));
static_assert(Is(Error::kLaunchTimeout, cudaErrorLaunchTimeout));
static_assert(Is(Error::kContextIsDestroyed, cudaErrorContextIsDestroyed));
static_assert(Is(Error::kAssert, cudaErrorAssert));
static_assert(Is(Error::kHardwareStackError, cudaErrorHardwareStackError));
static_assert(Is(Error::kIllegalInstruction, cudaErrorIllegalInstruction));
static_assert(Is(Error::kMisalignedAddress, cudaErrorMisalignedAddress));
static_assert(Is(Error::kInvalidAddressSpace, cudaErrorInvalidAddressSpace));
static_assert(Is(Error::kInvalidPc, cudaErrorInvalidPc));
static_assert(Is(Error::kLaunchFailure, cudaErrorLaunchFailure));
static_assert(Is(Error::kTensorMemoryLeak, cudaErrorTensorMemoryLeak));
static_assert(Is(Error::kMpsClientTerminated, cudaErrorMpsClientTerminated));
static_assert(Is(Error::kUnknown, cudaErrorUnknown));

// Takes the thread's last error away with it: one that is not sticky would otherwise stay, and be
// told as that of a later launch.
Error ToError(cudaError_t error) {
  if (error != cudaSuccess) static_cast<void>(cudaGetLastError());
  return static_cast<Error>(error);
}

class CudaOnGpu final : public Api {
 public:
  CudaOnGpu(int device, DeviceFacts facts) : device_(device), facts_(std::move(facts)) {}
  CudaOnGpu(const CudaOnGpu&) = delete;
  CudaOnGpu& operator=(const CudaOnGpu&) = delete;
  ~CudaOnGpu() override {
    plans_.reset();
    if (stream_ != nullptr) static_cast<void>(cudaStreamDestroy(stream_));
  }

  absl::Status Open() {
    TAILOR_RETURN_IF_ERROR(ToStatus(Bind(), "choosing the device"));
    TAILOR_RETURN_IF_ERROR(ToStatus(
        ToError(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking)), "making a stream"));
    // Found out now rather than in the first batch.
    if (const cudaError_t found = CheckCode(); found != cudaSuccess) {
      static_cast<void>(cudaGetLastError());
      return absl::FailedPreconditionError(absl::StrCat("cuda: expected code for ",
                                                        facts_.architecture,
                                                        " in this binary, or a driver that can "
                                                        "translate it, got neither: ",
                                                        cudaGetErrorString(found)));
    }
    TAILOR_ASSIGN_OR_RETURN(plans_, ProductPlans::Open(stream_));
    return absl::OkStatus();
  }

  const DeviceFacts& facts() const override { return facts_; }
  Error Bind() override { return ToError(cudaSetDevice(device_)); }

  Error Allocate(size_t bytes, void** memory) override {
    return ToError(cudaMalloc(memory, bytes));
  }
  Error Free(void* memory) override { return ToError(cudaFree(memory)); }
  Error AllocateHost(size_t bytes, void** memory) override {
    return ToError(cudaMallocHost(memory, bytes));
  }
  Error FreeHost(void* memory) override { return ToError(cudaFreeHost(memory)); }
  Error FreeBytes(size_t* bytes) override {
    size_t total = 0;
    return ToError(cudaMemGetInfo(bytes, &total));
  }

  Error CopyToDevice(void* to, const void* from, size_t bytes) override {
    return ToError(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream_));
  }
  Error CopyToHost(void* to, const void* from, size_t bytes) override {
    return ToError(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream_));
  }
  Error Launch(const KernelCall& call) override { return ToError(cuda::Launch(call, stream_)); }
  Error Multiply(const MatrixProduct& product) override { return plans_->Multiply(product); }
  Error Synchronize() override { return ToError(cudaStreamSynchronize(stream_)); }

 private:
  const int device_;
  const DeviceFacts facts_;
  cudaStream_t stream_ = nullptr;
  std::unique_ptr<ProductPlans> plans_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Api>> OpenGpu(int device) {
  int count = 0;
  cudaError_t found = cudaGetDeviceCount(&count);
  if (found == cudaSuccess && count == 0) found = cudaErrorNoDevice;
  if (found != cudaSuccess) {
    static_cast<void>(cudaGetLastError());
    return absl::FailedPreconditionError(
        absl::StrCat("cuda: expected a GPU, got none: ", cudaGetErrorString(found), " (error ",
                     static_cast<int>(found), "); use --device=cpu"));
  }
  if (device < 0 || device >= count) {
    return absl::FailedPreconditionError(
        absl::StrCat("cuda-device: expected 0 to ", count - 1, ", got ", device));
  }
  cudaDeviceProp properties = {};
  TAILOR_RETURN_IF_ERROR(ToStatus(ToError(cudaGetDeviceProperties(&properties, device)),
                                  "asking for the device's properties"));
  const int architecture = 10 * properties.major + properties.minor;
  if (architecture < kOldestArchitecture) {
    return absl::FailedPreconditionError(
        absl::StrCat("cuda-device: expected sm_", kOldestArchitecture, " or later, got ",
                     std::string(properties.name), " with sm_", architecture));
  }
  auto api = std::make_unique<CudaOnGpu>(
      device,
      DeviceFacts{.name = properties.name, .architecture = absl::StrCat("sm_", architecture)});
  TAILOR_RETURN_IF_ERROR(api->Open());
  return api;
}

}  // namespace tailor::cuda
