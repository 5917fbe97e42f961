// SPDX-License-Identifier: Apache-2.0
// What a build without CUDA has in place of the GPU engine.
#include "engine/cuda/cuda_backend.h"

namespace tailor {

bool HasCuda() { return false; }

absl::StatusOr<std::unique_ptr<Backend>> CreateCudaBackend(const CudaBackendOptions&) {
  return absl::FailedPreconditionError(
      "cuda: expected a build with CUDA, got one without; build with `make build-cuda`");
}

}  // namespace tailor
