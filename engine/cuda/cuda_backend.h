// SPDX-License-Identifier: Apache-2.0
// The GPU engine: one forward pass over a packed batch, cuBLASLt for the products, own kernels for
// the rest. All that the rest of the project sees of CUDA.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

#include "engine/api/backend.h"

namespace tailor {

// BackendInfo::notice, until its kernels have run on a GPU.
inline constexpr std::string_view kCudaNotice = "experimental: never run on a GPU";

struct CudaBackendOptions {
  int device = 0;  // as CUDA numbers them
  BatchLimits limits;
  std::string choice;  // BackendInfo::choice
};

// FailedPrecondition, in one line, when this build has no CUDA or the machine no such GPU.
absl::StatusOr<std::unique_ptr<Backend>> CreateCudaBackend(const CudaBackendOptions& options);

// Whether this build has the engine; says nothing of GPUs.
bool HasCuda();

}  // namespace tailor
