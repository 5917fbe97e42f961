// SPDX-License-Identifier: Apache-2.0
#include "engine/backend_factory.h"

#include <utility>

#include "base/status_macros.h"
#include "base/thread.h"
#include "engine/cpu/cpu_backend.h"
#include "engine/linear/linear_backend.h"
#include "engine/reference/reference_backend.h"

namespace tailor {

namespace {

absl::StatusOr<std::unique_ptr<Backend>> CreateEncoderBackend(const BackendOptions& options) {
  switch (options.device) {
    case Device::kCpu:
      return CreateCpuBackend({.threads = options.threads == 0 ? AvailableCores() : options.threads,
                               .cpu_isa = options.cpu_isa,
                               .limits = options.limits});
    case Device::kReference:
      return CreateReferenceBackend(options.limits);
  }
  return absl::InvalidArgumentError("device: expected cpu or reference");
}

}  // namespace

absl::StatusOr<std::unique_ptr<Backend>> CreateBackend(const BackendOptions& options) {
  TAILOR_ASSIGN_OR_RETURN(std::unique_ptr<Backend> backend, CreateEncoderBackend(options));
  return WithLinearVariants(std::move(backend));
}

}  // namespace tailor
