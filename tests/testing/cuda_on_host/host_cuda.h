// SPDX-License-Identifier: Apache-2.0
// CUDA's calls without a GPU: kernels run thread by thread on the host, products by loops, and any
// call can be told to fail.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"

#include "engine/cuda/cuda_api.h"
#include "tests/testing/cuda_on_host/thread_block.h"

namespace tailor::testing {

enum class CudaCall {
  kBind,
  kAllocate,
  kAllocateHost,
  kFreeBytes,
  kCopyToDevice,
  kCopyToHost,
  kLaunch,
  kMultiply,
  kSynchronize,
};

// What stands behind the calls: a test keeps it, since the backend owns the Api. Outlives it.
struct HostGpu {
  size_t total_bytes = size_t{8} << 30;
  std::map<void*, size_t> memory;  // of Allocate, not freed yet
  std::map<void*, size_t> pinned;
  std::map<CudaCall, int> calls;  // how many of each
  absl::Status kernel_status;     // of the first block that did not end

  // The n-th call of that kind from now on, the next one being 0, fails. After a sticky error all
  // calls do, of every kind.
  void FailCall(CudaCall call, int n, cuda::Error error);

  size_t used_bytes() const;
  cuda::Error Note(CudaCall call);  // counts the call; how it ends

 private:
  struct Fault {
    int at = 0;
    cuda::Error error = cuda::Error::kSuccess;
  };
  std::map<CudaCall, Fault> faults_;
  cuda::Error sticky_ = cuda::Error::kSuccess;
};

std::unique_ptr<cuda::Api> MakeHostCuda(HostGpu* gpu);

}  // namespace tailor::testing
