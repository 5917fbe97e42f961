// SPDX-License-Identifier: Apache-2.0
// CUDA's calls on a GPU. Only builds with CUDA have it.
#pragma once

#include <memory>

#include "absl/status/statusor.h"

#include "engine/cuda/cuda_api.h"

namespace tailor::cuda {

// FailedPrecondition, in one line, when the machine has no such GPU or one that is older than
// sm_80; otherwise what ToStatus makes of the call that failed.
absl::StatusOr<std::unique_ptr<Api>> OpenGpu(int device);

}  // namespace tailor::cuda
