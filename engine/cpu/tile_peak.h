// SPDX-License-Identifier: Apache-2.0
// The most that the tiles of one core can do: what benchmarks are a share of.
#pragma once

#include <cstdint>

namespace tailor {

// Operations (two a multiplication) of one round of RunTilesInRegisters; a bf16 tile has half.
constexpr double kTileRoundOps = 4 * 2.0 * 16 * 16 * 64;

// int8 products of registers only. For hosts with AMX, after HostHas(CpuIsa::kAmx).
void RunTilesInRegisters(int rounds);

}  // namespace tailor
