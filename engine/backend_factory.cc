// SPDX-License-Identifier: Apache-2.0
#include "engine/backend_factory.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "base/thread.h"
#include "engine/cpu/cpu_backend.h"
#include "engine/cuda/cuda_backend.h"
#include "engine/linear/linear_backend.h"
#include "engine/reference/reference_backend.h"

namespace tailor {

namespace {

// The core of each thread; none when they are not pinned.
absl::StatusOr<std::vector<int>> CoresOf(Pinning pinning, int threads) {
  std::vector<int> cores = AllowedCores();
  const auto count = static_cast<int>(cores.size());
  if (pinning == Pinning::kOn && threads > count) {
    return absl::InvalidArgumentError(absl::StrCat("pin-threads: expected at most ", count,
                                                   " threads, one a core, got ", threads));
  }
  const bool is_pinned = pinning == Pinning::kOn || (pinning == Pinning::kAuto && threads == count);
  cores.resize(is_pinned ? static_cast<size_t>(threads) : 0);
  return cores;
}

absl::StatusOr<std::unique_ptr<Backend>> CreateCpu(const BackendOptions& options,
                                                   std::string choice) {
  const int threads = options.threads == 0 ? AvailableCores() : options.threads;
  TAILOR_ASSIGN_OR_RETURN(std::vector<int> cores, CoresOf(options.pinning, threads));
  return CreateCpuBackend({.threads = threads,
                           .cores = std::move(cores),
                           .cpu_isa = options.cpu_isa,
                           .limits = options.limits,
                           .choice = std::move(choice)});
}

absl::StatusOr<std::unique_ptr<Backend>> CreateCuda(const BackendOptions& options,
                                                    std::string choice) {
  return CreateCudaBackend(
      {.device = options.cuda_device, .limits = options.limits, .choice = std::move(choice)});
}

absl::StatusOr<std::unique_ptr<Backend>> CreateEncoderBackend(const BackendOptions& options) {
  switch (options.device) {
    case Device::kCpu:
      return CreateCpu(options, "");
    case Device::kCuda:
      return CreateCuda(options, "");
    case Device::kAuto: {
      absl::StatusOr<std::unique_ptr<Backend>> cuda = CreateCuda(options, "auto: a GPU was found");
      if (cuda.ok()) return cuda;
      return CreateCpu(options, absl::StrCat("auto: ", cuda.status().message()));
    }
    case Device::kReference:
      return CreateReferenceBackend(options.limits);
  }
  return absl::InvalidArgumentError("device: expected cpu, cuda, auto or reference");
}

}  // namespace

absl::StatusOr<std::unique_ptr<Backend>> CreateBackend(const BackendOptions& options) {
  TAILOR_ASSIGN_OR_RETURN(std::unique_ptr<Backend> backend, CreateEncoderBackend(options));
  return WithLinearVariants(std::move(backend));
}

}  // namespace tailor
