// SPDX-License-Identifier: Apache-2.0
#include "engine/cpu/cpu_isa.h"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "base/nearest_name.h"

namespace tailor {
namespace {

constexpr std::array kLadder = {CpuIsa::kAmx, CpuIsa::kAvx512Fp16, CpuIsa::kAvx512Vnni,
                                CpuIsa::kAvx2, CpuIsa::kPortable};

bool HostHasAvx512Vnni() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512vnni");
}

bool HostHasAvx512Fp16() {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (edx >> 23 & 1U) != 0;
}

bool HostHasAmx() {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  const bool has_tiles = (edx >> 24 & 1U) != 0;
  const bool has_tile_bf16 = (edx >> 22 & 1U) != 0;
  if (__get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) == 0) return false;
  const bool has_vector_bf16 = (eax >> 5 & 1U) != 0;
  if (!has_tiles || !has_tile_bf16 || !has_vector_bf16) return false;
  // From <asm/prctl.h>, which Debian 12 has, but older kernels' headers do not.
  constexpr long kRequestPermission = 0x1023;
  constexpr long kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace

const char* CpuIsaName(CpuIsa isa) {
  switch (isa) {
    case CpuIsa::kPortable:
      return "portable";
    case CpuIsa::kAvx2:
      return "avx2";
    case CpuIsa::kAvx512Vnni:
      return "avx512_vnni";
    case CpuIsa::kAvx512Fp16:
      return "avx512_fp16";
    case CpuIsa::kAmx:
      return "amx";
  }
  return "?";
}

bool HostHas(CpuIsa isa) {
  switch (isa) {
    case CpuIsa::kPortable:
      return true;
    case CpuIsa::kAvx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
             __builtin_cpu_supports("bmi2");
    case CpuIsa::kAvx512Vnni:
      return HostHas(CpuIsa::kAvx2) && HostHasAvx512Vnni();
    case CpuIsa::kAvx512Fp16:
      return HostHas(CpuIsa::kAvx512Vnni) && __builtin_cpu_supports("avx512vbmi2") &&
             HostHasAvx512Fp16();
    case CpuIsa::kAmx:
      return HostHas(CpuIsa::kAvx512Vnni) && HostHasAmx();
  }
  return false;
}

absl::StatusOr<CpuIsa> ChooseCpuIsa(const std::string& name) {
  std::vector<std::string> known = {"auto"};
  for (const CpuIsa isa : kLadder) {
    known.emplace_back(CpuIsaName(isa));
    if (name == "auto" && HostHas(isa)) return isa;
    if (name != CpuIsaName(isa)) continue;
    if (HostHas(isa)) return isa;
    return absl::FailedPreconditionError(absl::StrCat("cpu_isa: this host lacks ", name));
  }
  const std::string nearest = NearestName(name, known);
  return absl::InvalidArgumentError(
      absl::StrCat("cpu_isa: expected one of ", absl::StrJoin(known, ", "), ", got \"", name, "\"",
                   nearest.empty() ? "" : absl::StrCat("; did you mean ", nearest, "?")));
}

}  // namespace tailor
