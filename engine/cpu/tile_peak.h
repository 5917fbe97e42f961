// SPDX-License-Identifier: Apache-2.0
// The most that one core can multiply: what benchmarks are a share of.
#pragma once

#include <cstdint>

namespace tailor {

// Operations (two a multiplication) of one round of the functions below; of bf16, tiles do half.
constexpr double kTileRoundOps = 4 * 2.0 * 16 * 16 * 64;
constexpr double kVnniRoundOps = 16 * 2.0 * 64;

// int8 products of registers only. For hosts with CpuIsa::kAmx, after HostHas has asked for it.
void RunTilesInRegisters(int rounds);
// The same with vpdpbusd, for hosts with CpuIsa::kAvx512Vnni.
void RunVnniInRegisters(int rounds);

}  // namespace tailor
