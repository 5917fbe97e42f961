// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/cpu/kernels/bias_activation.h"
#include "engine/cpu/kernels/simd.h"

namespace tailor::TAILOR_ISA {

// x/2 * (1 + erf(x / sqrt(2))). erf(z) = z P(z^2) / Q(z^2) for |z| <= 4 and +-1 beyond: the
// rational approximation that Eigen and XLA use for f32 (Eigen/src/SpecialFunctions,
// generic_fast_erf_float); within 4e-7 of erf.
TAILOR_INLINE Floats GeluErf(Floats x) {
  const Floats z = Min(Max(x * Splat(0.707106781F), Splat(-4.0F)), Splat(4.0F));
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
  const Floats half = x * Splat(0.5F);
  return MulAdd(half, Divide(z * p, q), half);
}

TAILOR_INLINE Floats Tanh(Floats x) {
  // 1 - 2 / (e^2x + 1); beyond +-10 the result is +-1 in f32.
  const Floats e = Exp(Min(Max(x * Splat(2.0F), Splat(-20.0F)), Splat(20.0F)));
  return Splat(1.0F) - Divide(Splat(2.0F), e + Splat(1.0F));
}

TAILOR_INLINE Floats GeluTanh(Floats x) {
  const Floats inner = x * MulAdd(x * x, Splat(0.0356774081F), Splat(0.797884561F));
  const Floats half = x * Splat(0.5F);
  return MulAdd(half, Tanh(inner), half);
}

template <KernelActivation kActivation>
TAILOR_INLINE Floats Activate(Floats x) {
  switch (kActivation) {
    case KernelActivation::kGeluErf:
      return GeluErf(x);
    case KernelActivation::kGeluTanh:
      return GeluTanh(x);
    case KernelActivation::kRelu:
      return Max(x, Splat(0.0F));
    case KernelActivation::kTanh:
      return Tanh(x);
    case KernelActivation::kTanhRelu:
      return Max(Tanh(x), Splat(0.0F));
  }
}

template <KernelActivation kActivation>
static void BiasActivationOf(const BiasActivationArgs& a) noexcept {
  for (int r = 0; r < a.rows; ++r) {
    const size_t start = static_cast<size_t>(r) * a.columns;
    const float* x = a.x + start;
    float* out = a.out == nullptr ? nullptr : a.out + start;
    uint16_t* out_bf16 = a.out_bf16 == nullptr ? nullptr : a.out_bf16 + start;
    int i = 0;
    for (; i + kWidth <= a.columns; i += kWidth) {
      const Floats v = Activate<kActivation>(Load(x + i) + Load(a.bias + i));
      StoreBoth(out == nullptr ? nullptr : out + i, out_bf16 == nullptr ? nullptr : out_bf16 + i,
                v);
    }
    if (i < a.columns) {
      const int n = a.columns - i;
      const Floats v = Activate<kActivation>(LoadFirst(x + i, n) + LoadFirst(a.bias + i, n));
      StoreFirstBoth(out == nullptr ? nullptr : out + i,
                     out_bf16 == nullptr ? nullptr : out_bf16 + i, v, n);
    }
  }
}

static void BiasActivation(const BiasActivationArgs& a) noexcept {
  switch (a.activation) {
    case KernelActivation::kGeluErf:
      return BiasActivationOf<KernelActivation::kGeluErf>(a);
    case KernelActivation::kGeluTanh:
      return BiasActivationOf<KernelActivation::kGeluTanh>(a);
    case KernelActivation::kRelu:
      return BiasActivationOf<KernelActivation::kRelu>(a);
    case KernelActivation::kTanh:
      return BiasActivationOf<KernelActivation::kTanh>(a);
    case KernelActivation::kTanhRelu:
      return BiasActivationOf<KernelActivation::kTanhRelu>(a);
  }
}

}  // namespace tailor::TAILOR_ISA
