// SPDX-License-Identifier: Apache-2.0
// What the int8 kernels need beside simd.h: whole numbers of 32 bits, and codes of 8 bits.
#pragma once

#include "engine/cpu/kernels/simd.h"

namespace tailor::TAILOR_ISA {

#if defined(__AVX512F__)

using Ints = __m512i;
TAILOR_INLINE Ints SplatInt(int32_t x) { return _mm512_set1_epi32(x); }
TAILOR_INLINE Ints MaxInt(Ints a, Ints b) { return _mm512_max_epi32(a, b); }
TAILOR_INLINE int32_t LargestInt(Ints v) { return _mm512_reduce_max_epi32(v); }
TAILOR_INLINE int32_t SumInts(Ints v) { return _mm512_reduce_add_epi32(v); }
// The bits of |v|.
TAILOR_INLINE Ints MagnitudeBits(Floats v) {
  return _mm512_and_si512(_mm512_castps_si512(v), _mm512_set1_epi32(0x7FFFFFFF));
}
TAILOR_INLINE Floats LoadAsFloats(const int32_t* p) {
  return _mm512_cvtepi32_ps(_mm512_loadu_si512(p));
}
// v rounded to whole numbers, ties to even; the caller clamps it to 8 bits. Writes kWidth bytes.
TAILOR_INLINE void StoreCodes(int8_t* p, Floats v) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(v)));
}
// 2 * kWidth codes as 16-bit numbers.
TAILOR_INLINE Ints LoadWidened(const int8_t* p) {
  return _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
// sum + the products of widened codes, added in pairs.
TAILOR_INLINE Ints AddPairProducts(Ints sum, Ints a, Ints b) {
  return _mm512_add_epi32(sum, _mm512_madd_epi16(a, b));
}

#elif defined(__AVX2__)

using Ints = __m256i;
TAILOR_INLINE Ints SplatInt(int32_t x) { return _mm256_set1_epi32(x); }
TAILOR_INLINE Ints MaxInt(Ints a, Ints b) { return _mm256_max_epi32(a, b); }
TAILOR_INLINE int32_t LargestInt(Ints v) {
  __m128i s = _mm_max_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  s = _mm_max_epi32(s, _mm_shuffle_epi32(s, 0x4E));
  return _mm_cvtsi128_si32(_mm_max_epi32(s, _mm_shuffle_epi32(s, 0xB1)));
}
TAILOR_INLINE int32_t SumInts(Ints v) {
  __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4E));
  return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xB1)));
}
TAILOR_INLINE Ints MagnitudeBits(Floats v) {
  return _mm256_and_si256(_mm256_castps_si256(v), _mm256_set1_epi32(0x7FFFFFFF));
}
TAILOR_INLINE Floats LoadAsFloats(const int32_t* p) {
  return _mm256_cvtepi32_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
TAILOR_INLINE void StoreCodes(int8_t* p, Floats v) {
  const __m256i i = _mm256_cvtps_epi32(v);
  const __m128i i16 = _mm_packs_epi32(_mm256_castsi256_si128(i), _mm256_extracti128_si256(i, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packs_epi16(i16, i16));
}
TAILOR_INLINE Ints LoadWidened(const int8_t* p) {
  return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
TAILOR_INLINE Ints AddPairProducts(Ints sum, Ints a, Ints b) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
}

#else  // SSE4.1

using Ints = __m128i;
TAILOR_INLINE Ints SplatInt(int32_t x) { return _mm_set1_epi32(x); }
TAILOR_INLINE Ints MaxInt(Ints a, Ints b) { return _mm_max_epi32(a, b); }
TAILOR_INLINE int32_t LargestInt(Ints v) {
  v = _mm_max_epi32(v, _mm_shuffle_epi32(v, 0x4E));
  return _mm_cvtsi128_si32(_mm_max_epi32(v, _mm_shuffle_epi32(v, 0xB1)));
}
TAILOR_INLINE int32_t SumInts(Ints v) {
  v = _mm_add_epi32(v, _mm_shuffle_epi32(v, 0x4E));
  return _mm_cvtsi128_si32(_mm_add_epi32(v, _mm_shuffle_epi32(v, 0xB1)));
}
TAILOR_INLINE Ints MagnitudeBits(Floats v) {
  return _mm_and_si128(_mm_castps_si128(v), _mm_set1_epi32(0x7FFFFFFF));
}
TAILOR_INLINE Floats LoadAsFloats(const int32_t* p) {
  return _mm_cvtepi32_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
TAILOR_INLINE void StoreCodes(int8_t* p, Floats v) {
  const __m128i i = _mm_cvtps_epi32(v);
  const __m128i i16 = _mm_packs_epi32(i, i);
  const int32_t codes = _mm_cvtsi128_si32(_mm_packs_epi16(i16, i16));
  __builtin_memcpy(p, &codes, sizeof(codes));
}
TAILOR_INLINE Ints LoadWidened(const int8_t* p) {
  return _mm_cvtepi8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
}
TAILOR_INLINE Ints AddPairProducts(Ints sum, Ints a, Ints b) {
  return _mm_add_epi32(sum, _mm_madd_epi16(a, b));
}

#endif

}  // namespace tailor::TAILOR_ISA
