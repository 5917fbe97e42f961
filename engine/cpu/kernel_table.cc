// SPDX-License-Identifier: Apache-2.0
#include "engine/cpu/kernel_table.h"

namespace tailor {

const KernelSet& KernelsFor(CpuIsa isa) {
  switch (isa) {
    case CpuIsa::kAmx:
      return amx::kKernels;
    case CpuIsa::kAvx512Fp16:
      return avx512_fp16::kKernels;
    case CpuIsa::kAvx512Vnni:
      return avx512_vnni::kKernels;
    case CpuIsa::kAvx2:
      return avx2::kKernels;
    case CpuIsa::kPortable:
      break;
  }
  return portable::kKernels;
}

}  // namespace tailor
