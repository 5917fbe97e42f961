// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include "engine/cpu/tile_peak.h"

namespace tailor {

void RunVnniInRegisters(int rounds) {
  __m512i sums[16];
  for (__m512i& sum : sums) sum = _mm512_setzero_si512();
  __m512i codes = _mm512_set1_epi8(3);
  for (int i = 0; i < rounds; ++i) {
#pragma GCC unroll 16
    for (__m512i& sum : sums) {
      sum = _mm512_dpbusd_epi32(sum, codes, codes);
      asm volatile("" : "+v"(sum));  // NOLINT(hicpp-no-assembler): every product is to be made
    }
  }
}

}  // namespace tailor
