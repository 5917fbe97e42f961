// SPDX-License-Identifier: Apache-2.0
// The GPU engine over any implementation of CUDA's calls.
#pragma once

#include <memory>

#include "engine/cuda/cuda_api.h"
#include "engine/cuda/cuda_backend.h"

namespace tailor::cuda {

std::unique_ptr<Backend> MakeBackend(std::unique_ptr<Api> api, const CudaBackendOptions& options);

}  // namespace tailor::cuda
