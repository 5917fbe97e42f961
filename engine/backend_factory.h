// SPDX-License-Identifier: Apache-2.0
// The only place that knows every backend.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

#include "engine/api/backend.h"

namespace tailor {

// kAuto: the GPU where there is one that this build can use, else the CPU; BackendInfo::choice says
// why.
enum class Device { kCpu, kCuda, kAuto, kReference };

inline constexpr std::array<std::string_view, 4> kDeviceNames = {"cpu", "cuda", "auto",
                                                                 "reference"};
// Absent for any other name.
std::optional<Device> DeviceNamed(std::string_view name);

// What this binary can run batches on, in one line for a person: "cpu (amx), reference, ...".
std::string BackendSummary();

// Whether each engine thread is kept on a core of its own. Threads that wake up together are
// otherwise put on one core now and then, and stay there for milliseconds: a short batch then takes
// twice its time.
enum class Pinning {
  kOff,
  kOn,    // needs as many cores as threads
  kAuto,  // when there are as many threads as cores in the affinity mask
};

struct BackendOptions {
  Device device = Device::kCpu;
  int cuda_device = 0;  // which GPU, as CUDA numbers them
  int threads = 0;      // 0: AvailableCores()
  Pinning pinning = Pinning::kOff;
  std::string cpu_isa = "auto";  // forces one entry of the ISA ladder; "auto" takes the best
  BatchLimits limits;
};

// InvalidArgument for an unknown ISA name, or pinned threads that outnumber the cores;
// FailedPrecondition when the host lacks it, or when kCuda finds no such GPU or a build without
// CUDA.
absl::StatusOr<std::unique_ptr<Backend>> CreateBackend(const BackendOptions& options);

// CreateBackend, or what a test has in its place.
using BackendFactory =
    std::function<absl::StatusOr<std::unique_ptr<Backend>>(const BackendOptions&)>;

}  // namespace tailor
