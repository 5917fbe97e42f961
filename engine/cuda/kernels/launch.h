// SPDX-License-Identifier: Apache-2.0
// From a kernel's call to its launch. Only builds with CUDA have it.
#pragma once

#include <cuda_runtime_api.h>

#include "engine/cuda/kernels/kernel_call.h"

namespace tailor::cuda {

// Whether the present device can run the code of this binary.
cudaError_t CheckCode();

// Queues the kernel on `stream` and returns what the launch said, not what the kernel will. Calls
// without rows launch nothing.
cudaError_t Launch(const KernelCall& call, cudaStream_t stream);

}  // namespace tailor::cuda
