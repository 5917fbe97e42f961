// SPDX-License-Identifier: Apache-2.0
// The only place that knows every backend.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"

#include "engine/api/backend.h"

namespace tailor {

enum class Device { kCpu, kReference };

struct BackendOptions {
  Device device = Device::kCpu;
  int threads = 0;               // 0: AvailableCores()
  std::string cpu_isa = "auto";  // forces one entry of the ISA ladder; "auto" takes the best
  BatchLimits limits;
};

// InvalidArgument for an unknown ISA name; FailedPrecondition when the host lacks it.
absl::StatusOr<std::unique_ptr<Backend>> CreateBackend(const BackendOptions& options);

}  // namespace tailor
