// SPDX-License-Identifier: Apache-2.0
// gelu_erf of several vectors at once: x/2 * (1 + erf(x / sqrt(2))), within the tolerance of
// docs/numerics.md, "activations". The steps of the vectors alternate, because one alone waits for
// its own results: the scheduler of a core holds too few instructions to reach past them.
#pragma once

#include "engine/cpu/kernels/simd.h"

namespace tailor::TAILOR_ISA {

#if defined(__AVX512F__)

// erf(t / sqrt(2)) for t >= 0 as a polynomial of degree 4 in each of 15 segments of 5.5 / 15, and 1
// beyond; segment n is centred at n * 5.5 / 15, and its variable runs from -1/2 to 1/2. The
// polynomials interpolate erf at the Chebyshev nodes of their segment (a fit to 400 of them); the
// error of x/2 * erf is below 2e-7 * max(1, x/2). kErf[power][segment].
constexpr int kErfDegree = 4;
alignas(64) static constexpr float kErf[kErfDegree + 1][16] = {
    {-3.0808954e-17F, 0.286132306F, 0.536644816F, 0.728667855F, 0.857533276F, 0.93324697F,
     0.972193122F, 0.989731848F, 0.996646583F, 0.999033153F, 0.99975425F, 0.999944985F,
     0.999989152F, 0.999998152F, 0.999999702F, 1.0F},
    {0.292555094F, 0.273535967F, 0.223580763F, 0.159759566F, 0.0997953638F, 0.0544957928F,
     0.0260149054F, 0.0108563807F, 0.00396047998F, 0.00126300822F, 0.000352091301F, 8.58004641e-05F,
     1.82769163e-05F, 3.40320571e-06F, 5.53908194e-07F, 0.0F},
    {1.00781939e-16F, -0.0183873735F, -0.0300586745F, -0.0322176702F, -0.026833538F, -0.0183165614F,
     -0.0104927802F, -0.00510869967F, -0.00213000574F, -0.000764213328F, -0.000236730048F,
     -6.34635071e-05F, -1.47497158e-05F, -2.97581346e-06F, -5.21716743e-07F, 0.0F},
    {-0.00651431875F, -0.00527685089F, -0.0023149692F, 0.000730847474F, 0.00254931208F,
     0.00286807935F, 0.00223518303F, 0.00136280467F, 0.000679621124F, 0.000283284782F,
     9.99230397e-05F, 3.0058738e-05F, 7.75205808e-06F, 1.72036937e-06F, 3.29441548e-07F, 0.0F},
    {1.01385937e-15F, 0.000585625821F, 0.000823625247F, 0.000643473992F, 0.000256144791F,
     -7.15932038e-05F, -0.000214335814F, -0.000204626645F, -0.000133861526F, -6.79109507e-05F,
     -2.79774176e-05F, -9.57577504e-06F, -2.75922048e-06F, -6.7502998e-07F, -1.410273e-07F, 0.0F}};

template <int kVectors>
TAILOR_INLINE void GeluErf(Floats (&x)[kVectors]) {
  // Adding it leaves the nearest whole number in the lowest bits of the sum.
  const Floats magic = Splat(12582912.0F);
  Floats half[kVectors];
  Floats u[kVectors];
  Floats y[kVectors];
  __m512i segment[kVectors];
#pragma GCC unroll 4
  for (int i = 0; i < kVectors; ++i) {
    u[i] = Min(_mm512_abs_ps(x[i]) * Splat(15.0F / 5.5F), Splat(15.0F));
    half[i] = x[i] * Splat(0.5F);
  }
#pragma GCC unroll 4
  for (int i = 0; i < kVectors; ++i) {
    const Floats sum = u[i] + magic;
    segment[i] = _mm512_castps_si512(sum);
    u[i] = u[i] - (sum - magic);
    y[i] = _mm512_permutexvar_ps(segment[i], Load(kErf[kErfDegree]));
  }
#pragma GCC unroll 4
  for (int power = kErfDegree - 1; power >= 0; --power) {
#pragma GCC unroll 4
    for (int i = 0; i < kVectors; ++i) {
      y[i] = MulAdd(y[i], u[i], _mm512_permutexvar_ps(segment[i], Load(kErf[power])));
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < kVectors; ++i) x[i] = MulAdd(_mm512_abs_ps(half[i]), y[i], half[i]);
}

#else

// erf(z) = z P(z^2) / Q(z^2) for |z| <= 4 and +-1 beyond: the rational approximation that Eigen and
// XLA use for f32 (Eigen/src/SpecialFunctions, generic_fast_erf_float); within 4e-7 of erf.
template <int kVectors>
TAILOR_INLINE void GeluErf(Floats (&x)[kVectors]) {
  for (int i = 0; i < kVectors; ++i) {
    const Floats z = Min(Max(x[i] * Splat(0.707106781F), Splat(-4.0F)), Splat(4.0F));
    const Floats t = z * z;
    Floats p = Splat(-2.72614225801306e-10F);
    p = MulAdd(p, t, Splat(2.77068142495902e-08F));
    p = MulAdd(p, t, Splat(-2.10102402082508e-06F));
    p = MulAdd(p, t, Splat(-5.69250639462346e-05F));
    p = MulAdd(p, t, Splat(-7.34990630326855e-04F));
    p = MulAdd(p, t, Splat(-2.95459980854025e-03F));
    p = MulAdd(p, t, Splat(-1.60960333262415e-02F));
    Floats q = Splat(-1.45660718464996e-05F);
    q = MulAdd(q, t, Splat(-2.13374055278905e-04F));
    q = MulAdd(q, t, Splat(-1.68282697438203e-03F));
    q = MulAdd(q, t, Splat(-7.37332916720468e-03F));
    q = MulAdd(q, t, Splat(-1.42647390514189e-02F));
    const Floats half = x[i] * Splat(0.5F);
    x[i] = MulAdd(half, Divide(z * p, q), half);
  }
}

#endif

}  // namespace tailor::TAILOR_ISA
