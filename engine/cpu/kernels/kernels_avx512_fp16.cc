// SPDX-License-Identifier: Apache-2.0
// The kernels compiled for one entry of the ISA ladder; the flags stand in CMakeLists.txt.
#define TAILOR_ISA avx512_fp16
#include "engine/cpu/kernels/kernel_set_simd.h"
