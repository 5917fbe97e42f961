// SPDX-License-Identifier: Apache-2.0
// What a build with CUDA has in place of no_cuda.cc.
#include <utility>

#include "base/status_macros.h"
#include "engine/cuda/cuda_backend.h"
#include "engine/cuda/cuda_device_backend.h"
#include "engine/cuda/cuda_on_gpu.h"

namespace tailor {

bool HasCuda() { return true; }

absl::StatusOr<std::unique_ptr<Backend>> CreateCudaBackend(const CudaBackendOptions& options) {
  TAILOR_ASSIGN_OR_RETURN(std::unique_ptr<cuda::Api> api, cuda::OpenGpu(options.device));
  return cuda::MakeBackend(std::move(api), options);
}

}  // namespace tailor
