// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/cuda_runtime.h"

#include <cuda_runtime_api.h>

#include <utility>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "engine/cuda/kernels/launch.h"
#include "engine/cuda/product_plans.h"

namespace tailor::cuda {
namespace {

constexpr int kOldestArchitecture = 80;

static_assert(static_cast<int>(Error::kMemoryAllocation) == cudaErrorMemoryAllocation);
static_assert(static_cast<int>(Error::kIllegalAddress) == cudaErrorIllegalAddress);
static_assert(static_cast<int>(Error::kLaunchFailure) == cudaErrorLaunchFailure);
static_assert(static_cast<int>(Error::kEccUncorrectable) == cudaErrorECCUncorrectable);

Error ToError(cudaError_t error) { return static_cast<Error>(error); }

class Runtime final : public Api {
 public:
  Runtime(int device, DeviceFacts facts) : device_(device), facts_(std::move(facts)) {}
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;
  ~Runtime() override {
    if (stream_ != nullptr) static_cast<void>(cudaStreamDestroy(stream_));
  }

  absl::Status Open() {
    TAILOR_RETURN_IF_ERROR(ToStatus(Bind(), "choosing the device"));
    TAILOR_RETURN_IF_ERROR(ToStatus(
        ToError(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking)), "making a stream"));
    return plans_.Open(stream_);
  }

  const DeviceFacts& facts() const override { return facts_; }
  Error Bind() override { return ToError(cudaSetDevice(device_)); }

  Error Allocate(size_t bytes, void** memory) override { return Forget(cudaMalloc(memory, bytes)); }
  Error Free(void* memory) override { return ToError(cudaFree(memory)); }
  Error AllocateHost(size_t bytes, void** memory) override {
    return Forget(cudaMallocHost(memory, bytes));
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
  Error Multiply(const MatrixProduct& product) override { return plans_.Multiply(product); }
  Error Synchronize() override { return ToError(cudaStreamSynchronize(stream_)); }

 private:
  // An error that is not sticky stays the thread's last one until somebody asks, and would then be
  // taken for that of the next launch.
  static Error Forget(cudaError_t error) {
    if (error != cudaSuccess) static_cast<void>(cudaGetLastError());
    return ToError(error);
  }

  const int device_;
  const DeviceFacts facts_;
  cudaStream_t stream_ = nullptr;
  ProductPlans plans_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Api>> OpenRuntime(int device) {
  int count = 0;
  const Error found = ToError(cudaGetDeviceCount(&count));
  if (found != Error::kSuccess || count == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("cuda: expected a GPU, got none: ",
                     std::string(ErrorName(found == Error::kSuccess ? Error::kNoDevice : found)),
                     "; use --device=cpu"));
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
  auto runtime = std::make_unique<Runtime>(
      device,
      DeviceFacts{.name = properties.name, .architecture = absl::StrCat("sm_", architecture)});
  TAILOR_RETURN_IF_ERROR(runtime->Open());
  return runtime;
}

}  // namespace tailor::cuda
