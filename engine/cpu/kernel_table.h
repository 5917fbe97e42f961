// SPDX-License-Identifier: Apache-2.0
// Which own kernels belong to which instruction set.
#pragma once

#include "engine/cpu/cpu_isa.h"
#include "engine/cpu/kernels/kernel_set.h"

namespace tailor {

// The kernels compiled for `isa`, which the host must have.
const KernelSet& KernelsFor(CpuIsa isa);

}  // namespace tailor
