// SPDX-License-Identifier: Apache-2.0
// The ladder of instruction sets, and which of its steps this host has.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace tailor {

// Ascending: a host that has one has all before it, but AMX may come without AVX512-FP16.
enum class CpuIsa { kPortable, kAvx2, kAvx512Vnni, kAvx512Fp16, kAmx };

const char* CpuIsaName(CpuIsa isa);

// Whether the CPU and the kernel offer it. For kAmx this asks the kernel for the tile registers,
// once for the process: guests exist that show the CPUID bits and then refuse.
bool HostHas(CpuIsa isa);

// "auto" gives the best step of the host. InvalidArgument for an unknown name, FailedPrecondition
// when the host lacks it.
absl::StatusOr<CpuIsa> ChooseCpuIsa(const std::string& name);

}  // namespace tailor
