// SPDX-License-Identifier: Apache-2.0
// The vector operations that the kernels are written with, for the instruction set of the including
// source. That source defines TAILOR_ISA, the name of a namespace of its own: the same inline
// function compiled for two instruction sets must never be merged by the linker. For the same
// reason nothing of the standard library may be used by code that includes this file.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#ifndef TAILOR_ISA
#error "define TAILOR_ISA before including this file"
#endif

#define TAILOR_INLINE static inline __attribute__((always_inline))

namespace tailor::TAILOR_ISA {

#if defined(__AVX512F__)

using Floats = __m512;
constexpr int kWidth = 16;
// Vectors a row in the register block of a product with 6 rows: 24 of 32 registers, or 12 of 16.
constexpr int kBlockVectors = 4;

TAILOR_INLINE __mmask16 First(int n) { return static_cast<__mmask16>((1U << n) - 1U); }
TAILOR_INLINE Floats Load(const float* p) { return _mm512_loadu_ps(p); }
TAILOR_INLINE Floats LoadFirst(const float* p, int n) { return _mm512_maskz_loadu_ps(First(n), p); }
TAILOR_INLINE void Store(float* p, Floats v) { _mm512_storeu_ps(p, v); }
TAILOR_INLINE void StoreFirst(float* p, Floats v, int n) { _mm512_mask_storeu_ps(p, First(n), v); }
TAILOR_INLINE Floats Splat(float x) { return _mm512_set1_ps(x); }
TAILOR_INLINE Floats KeepFirst(Floats v, int n) { return _mm512_maskz_mov_ps(First(n), v); }
TAILOR_INLINE Floats KeepFirstElse(Floats v, Floats other, int n) {
  return _mm512_mask_mov_ps(other, First(n), v);
}
TAILOR_INLINE Floats MulAdd(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
TAILOR_INLINE Floats Max(Floats a, Floats b) { return _mm512_max_ps(a, b); }
TAILOR_INLINE Floats Min(Floats a, Floats b) { return _mm512_min_ps(a, b); }
TAILOR_INLINE Floats Round(Floats v) { return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT); }
TAILOR_INLINE Floats TimesPowerOfTwo(Floats v, Floats n) { return _mm512_scalef_ps(v, n); }
TAILOR_INLINE float Sum(Floats v) { return _mm512_reduce_add_ps(v); }
TAILOR_INLINE float Largest(Floats v) { return _mm512_reduce_max_ps(v); }
// a / b within 2^-22: vdivps takes 16 cycles, the estimate and one Newton step take 4.
TAILOR_INLINE Floats Divide(Floats a, Floats b) {
  const Floats estimate = _mm512_rcp14_ps(b);
  return a * _mm512_fmadd_ps(estimate, _mm512_fnmadd_ps(estimate, b, Splat(1.0F)), estimate);
}
// The first (second) halves of a and b, interleaved.
TAILOR_INLINE Floats ZipLow(Floats a, Floats b) {
  return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
TAILOR_INLINE Floats ZipHigh(Floats a, Floats b) {
  return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15,
                                 31);
}

#elif defined(__AVX2__)

using Floats = __m256;
constexpr int kWidth = 8;
constexpr int kBlockVectors = 2;

TAILOR_INLINE __m256i First(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
TAILOR_INLINE Floats Load(const float* p) { return _mm256_loadu_ps(p); }
TAILOR_INLINE Floats LoadFirst(const float* p, int n) { return _mm256_maskload_ps(p, First(n)); }
TAILOR_INLINE void Store(float* p, Floats v) { _mm256_storeu_ps(p, v); }
TAILOR_INLINE void StoreFirst(float* p, Floats v, int n) { _mm256_maskstore_ps(p, First(n), v); }
TAILOR_INLINE Floats Splat(float x) { return _mm256_set1_ps(x); }
TAILOR_INLINE Floats KeepFirst(Floats v, int n) {
  return _mm256_and_ps(v, _mm256_castsi256_ps(First(n)));
}
TAILOR_INLINE Floats KeepFirstElse(Floats v, Floats other, int n) {
  return _mm256_blendv_ps(other, v, _mm256_castsi256_ps(First(n)));
}
TAILOR_INLINE Floats MulAdd(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
TAILOR_INLINE Floats Max(Floats a, Floats b) { return _mm256_max_ps(a, b); }
TAILOR_INLINE Floats Min(Floats a, Floats b) { return _mm256_min_ps(a, b); }
TAILOR_INLINE Floats Round(Floats v) {
  return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
// Exact for results that are normal numbers, which the callers' clamps guarantee.
TAILOR_INLINE Floats TimesPowerOfTwo(Floats v, Floats n) {
  const __m256i exponent = _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23);
  return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(v), exponent));
}
TAILOR_INLINE float Sum(Floats v) {
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_shuffle_ps(s, s, 1)));
}
TAILOR_INLINE float Largest(Floats v) {
  __m128 s = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  s = _mm_max_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_max_ss(s, _mm_shuffle_ps(s, s, 1)));
}
TAILOR_INLINE Floats Divide(Floats a, Floats b) { return _mm256_div_ps(a, b); }
TAILOR_INLINE Floats ZipLow(Floats a, Floats b) {
  return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}
TAILOR_INLINE Floats ZipHigh(Floats a, Floats b) {
  return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}

#else  // SSE4.1, which the baseline x86-64-v2 includes

using Floats = __m128;
constexpr int kWidth = 4;
constexpr int kBlockVectors = 2;

TAILOR_INLINE __m128 First(int n) {
  return _mm_castsi128_ps(_mm_cmpgt_epi32(_mm_set1_epi32(n), _mm_setr_epi32(0, 1, 2, 3)));
}
TAILOR_INLINE Floats Load(const float* p) { return _mm_loadu_ps(p); }
TAILOR_INLINE Floats LoadFirst(const float* p, int n) {
  float values[kWidth] = {};
  for (int i = 0; i < n; ++i) values[i] = p[i];
  return _mm_loadu_ps(values);
}
TAILOR_INLINE void Store(float* p, Floats v) { _mm_storeu_ps(p, v); }
TAILOR_INLINE void StoreFirst(float* p, Floats v, int n) {
  float values[kWidth];
  _mm_storeu_ps(values, v);
  for (int i = 0; i < n; ++i) p[i] = values[i];
}
TAILOR_INLINE Floats Splat(float x) { return _mm_set1_ps(x); }
TAILOR_INLINE Floats KeepFirst(Floats v, int n) { return _mm_and_ps(v, First(n)); }
TAILOR_INLINE Floats KeepFirstElse(Floats v, Floats other, int n) {
  return _mm_blendv_ps(other, v, First(n));
}
TAILOR_INLINE Floats MulAdd(Floats a, Floats b, Floats c) { return a * b + c; }
TAILOR_INLINE Floats Max(Floats a, Floats b) { return _mm_max_ps(a, b); }
TAILOR_INLINE Floats Min(Floats a, Floats b) { return _mm_min_ps(a, b); }
TAILOR_INLINE Floats Round(Floats v) {
  return _mm_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
// Exact for results that are normal numbers, which the callers' clamps guarantee.
TAILOR_INLINE Floats TimesPowerOfTwo(Floats v, Floats n) {
  const __m128i exponent = _mm_slli_epi32(_mm_cvtps_epi32(n), 23);
  return _mm_castsi128_ps(_mm_add_epi32(_mm_castps_si128(v), exponent));
}
TAILOR_INLINE float Sum(Floats v) {
  const __m128 s = _mm_add_ps(v, _mm_movehl_ps(v, v));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_shuffle_ps(s, s, 1)));
}
TAILOR_INLINE float Largest(Floats v) {
  const __m128 s = _mm_max_ps(v, _mm_movehl_ps(v, v));
  return _mm_cvtss_f32(_mm_max_ss(s, _mm_shuffle_ps(s, s, 1)));
}
TAILOR_INLINE Floats Divide(Floats a, Floats b) { return _mm_div_ps(a, b); }
TAILOR_INLINE Floats ZipLow(Floats a, Floats b) { return _mm_unpacklo_ps(a, b); }
TAILOR_INLINE Floats ZipHigh(Floats a, Floats b) { return _mm_unpackhi_ps(a, b); }

#endif

// e^x for x in [-87, 88] (the caller clamps), relative error below 2e-7 near 0 and 3e-6 at the
// ends: x = n ln2 + r, then the polynomial of Cephes' expf.c for e^r.
TAILOR_INLINE Floats Exp(Floats x) {
  const Floats n = Round(x * Splat(1.44269504F));
  const Floats r = MulAdd(n, Splat(-0.693147181F), x);
  Floats p = Splat(1.9875691500e-4F);
  p = MulAdd(p, r, Splat(1.3981999507e-3F));
  p = MulAdd(p, r, Splat(8.3334519073e-3F));
  p = MulAdd(p, r, Splat(4.1665795894e-2F));
  p = MulAdd(p, r, Splat(1.6666665459e-1F));
  p = MulAdd(p, r, Splat(5.0000001201e-1F));
  return TimesPowerOfTwo(MulAdd(p * r, r, r + Splat(1.0F)), n);
}

}  // namespace tailor::TAILOR_ISA
