// SPDX-License-Identifier: Apache-2.0
#include "engine/backend_factory.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "base/thread.h"
#include "engine/cpu/cpu_backend.h"
#include "engine/cpu/cpu_isa.h"
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

std::optional<Device> DeviceNamed(std::string_view name) {
  constexpr std::array<Device, kDeviceNames.size()> kDevices = {Device::kCpu, Device::kCuda,
                                                                Device::kAuto, Device::kReference};
  for (size_t i = 0; i < kDeviceNames.size(); ++i) {
    if (kDeviceNames[i] == name) return kDevices[i];
  }
  return std::nullopt;
}

std::string BackendSummary() {
  const absl::StatusOr<CpuIsa> isa = ChooseCpuIsa("auto");
  return absl::StrCat("cpu (", isa.ok() ? CpuIsaName(*isa) : "unknown", "), reference, cuda (",
                      HasCuda() ? "" : "not built in; ", std::string(kCudaNotice), ")");
}

absl::StatusOr<std::unique_ptr<Backend>> CreateBackend(const BackendOptions& options) {
  TAILOR_ASSIGN_OR_RETURN(std::unique_ptr<Backend> backend, CreateEncoderBackend(options));
  return WithLinearVariants(std::move(backend));
}

}  // namespace tailor
