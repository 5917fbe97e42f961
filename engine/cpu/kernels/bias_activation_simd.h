// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/cpu/kernels/bias_activation.h"
#include "engine/cpu/kernels/gelu_erf_simd.h"
#include "engine/cpu/kernels/simd.h"

namespace tailor::TAILOR_ISA {

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

template <KernelActivation kActivation, int kVectors>
TAILOR_INLINE void Activate(Floats (&x)[kVectors]) {
  if constexpr (kActivation == KernelActivation::kGeluErf) return GeluErf(x);
  for (int i = 0; i < kVectors; ++i) {
    switch (kActivation) {
      case KernelActivation::kGeluErf:
        break;
      case KernelActivation::kGeluTanh:
        x[i] = GeluTanh(x[i]);
        break;
      case KernelActivation::kRelu:
        x[i] = Max(x[i], Splat(0.0F));
        break;
      case KernelActivation::kTanh:
        x[i] = Tanh(x[i]);
        break;
      case KernelActivation::kTanhRelu:
        x[i] = Max(Tanh(x[i]), Splat(0.0F));
        break;
    }
  }
}

template <KernelActivation kActivation>
static void BiasActivationOf(const BiasActivationArgs& a) noexcept {
  constexpr int kVectors = kWidth == 16 ? 4 : 2;
  for (int r = 0; r < a.rows; ++r) {
    const size_t start = static_cast<size_t>(r) * a.columns;
    const float* x = a.x + start;
    float* out = a.out + start;
    int i = 0;
    for (; i + kVectors * kWidth <= a.columns; i += kVectors * kWidth) {
      Floats v[kVectors];
      for (int n = 0; n < kVectors; ++n) {
        v[n] = Load(x + i + n * kWidth) + Load(a.bias + i + n * kWidth);
      }
      Activate<kActivation>(v);
      for (int n = 0; n < kVectors; ++n) Store(out + i + n * kWidth, v[n]);
    }
    for (; i + kWidth <= a.columns; i += kWidth) {
      Floats v[1] = {Load(x + i) + Load(a.bias + i)};
      Activate<kActivation>(v);
      Store(out + i, v[0]);
    }
    if (i < a.columns) {
      const int n = a.columns - i;
      Floats v[1] = {LoadFirst(x + i, n) + LoadFirst(a.bias + i, n)};
      Activate<kActivation>(v);
      StoreFirst(out + i, v[0], n);
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
