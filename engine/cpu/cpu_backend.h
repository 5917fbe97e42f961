// SPDX-License-Identifier: Apache-2.0
// The CPU engine: one forward pass over a packed batch, oneDNN for the products, own fused kernels
// for the rest.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "engine/api/backend.h"

namespace tailor {

struct CpuBackendOptions {
  int threads = 1;               // the caller of Run is one of them
  std::vector<int> cores;        // [threads] where they are kept; empty: not kept
  std::string cpu_isa = "auto";  // "auto", or a step of the ladder in cpu_isa.h
  BatchLimits limits;
  std::string choice;  // BackendInfo::choice
};

// InvalidArgument for an unknown ISA name or threads < 1; FailedPrecondition when the host lacks
// the ISA, or when another one was forced earlier in this process (product.h).
absl::StatusOr<std::unique_ptr<Backend>> CreateCpuBackend(const CpuBackendOptions& options);

}  // namespace tailor
