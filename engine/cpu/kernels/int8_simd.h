// SPDX-License-Identifier: Apache-2.0
// The three kernels of int8 products that oneDNN does not do, or not exactly.
#pragma once

#include "engine/cpu/kernels/multiply_codes.h"
#include "engine/cpu/kernels/quantize_rows.h"
#include "engine/cpu/kernels/scale_sums.h"
#include "engine/cpu/kernels/simd_int.h"

namespace tailor::TAILOR_ISA {

// Compared as integers, so that a NaN is larger than every number and does not get lost.
TAILOR_INLINE float LargestOfRow(const float* row, int columns) {
  Ints top = SplatInt(0);
  int i = 0;
  for (; i + kWidth <= columns; i += kWidth) top = MaxInt(top, MagnitudeBits(Load(row + i)));
  if (i < columns) top = MaxInt(top, MagnitudeBits(LoadFirst(row + i, columns - i)));
  const int32_t bits = LargestInt(top);
  float largest = 0;
  __builtin_memcpy(&largest, &bits, sizeof(largest));
  return largest;
}

TAILOR_INLINE float ScaleOfRow(float largest, float fixed_scale) {
  if (largest != largest) return largest;
  if (fixed_scale > 0.0F) return fixed_scale;
  const float scale = largest / 127.0F;
  return scale == 0.0F ? 1.0F : scale;
}

// The second operand of Max is what a NaN becomes: any code will do, its scale is a NaN.
TAILOR_INLINE Floats ClampToCode(Floats v) { return Min(Max(v, Splat(-127.0F)), Splat(127.0F)); }

static void QuantizeRows(const QuantizeRowsArgs& a) noexcept {
  for (int r = 0; r < a.rows; ++r) {
    const float* x = a.x + r * a.x_stride;
    int8_t* codes = a.codes + r * a.codes_stride;
    a.scales[r] = ScaleOfRow(LargestOfRow(x, a.columns), a.fixed_scale);
    const Floats scale = Splat(a.scales[r]);
    int i = 0;
    for (; i + kWidth <= a.columns; i += kWidth) {
      StoreCodes(codes + i, ClampToCode(Load(x + i) / scale));
    }
    if (i < a.columns) {
      const int n = a.columns - i;
      StoreCodes(codes + i, KeepFirst(ClampToCode(LoadFirst(x + i, n) / scale), n));
      i += kWidth;
    }
    for (; i < static_cast<int>(a.codes_stride); i += kWidth) StoreCodes(codes + i, Splat(0));
  }
}

// Rows and outputs of one block: its sums, one row of codes and one of weights fit the registers.
constexpr int kCodeRows = kWidth == 16 ? 4 : 2;
constexpr int kCodeOutputs = 4;

template <int kRows>
TAILOR_INLINE void MultiplyBlock(const int8_t* x, const int8_t* weight, int in, int out,
                                 int32_t* sums) {
  Ints acc[kRows][kCodeOutputs];
  for (int r = 0; r < kRows; ++r) {
    for (int o = 0; o < kCodeOutputs; ++o) acc[r][o] = SplatInt(0);
  }
  for (int i = 0; i < in; i += 2 * kWidth) {
    Ints w[kCodeOutputs];
#pragma GCC unroll 4
    for (int o = 0; o < kCodeOutputs; ++o) {
      w[o] = LoadWidened(weight + static_cast<size_t>(o) * in + i);
    }
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const Ints row = LoadWidened(x + static_cast<size_t>(r) * in + i);
#pragma GCC unroll 4
      for (int o = 0; o < kCodeOutputs; ++o) acc[r][o] = AddPairProducts(acc[r][o], row, w[o]);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int o = 0; o < kCodeOutputs; ++o) {
      sums[static_cast<size_t>(r) * out + o] = SumInts(acc[r][o]);
    }
  }
}

static void MultiplyCodes(const MultiplyCodesArgs& a) noexcept {
  for (int o = 0; o < a.out; o += kCodeOutputs) {
    const int8_t* weight = a.weight + static_cast<size_t>(o) * a.in;
    int r = 0;
    for (; r + kCodeRows <= a.rows; r += kCodeRows) {
      MultiplyBlock<kCodeRows>(a.x + static_cast<size_t>(r) * a.in, weight, a.in, a.out,
                               a.sums + static_cast<size_t>(r) * a.out + o);
    }
    for (; r < a.rows; ++r) {
      MultiplyBlock<1>(a.x + static_cast<size_t>(r) * a.in, weight, a.in, a.out,
                       a.sums + static_cast<size_t>(r) * a.out + o);
    }
  }
}

static void ScaleSums(const ScaleSumsArgs& a) noexcept {
  for (int r = 0; r < a.rows; ++r) {
    const int32_t* sums = a.sums + r * a.sums_stride;
    float* out = a.out + r * a.out_stride;
    const Floats row_scale = Splat(a.row_scale[r]);
    int i = 0;
    for (; i + kWidth <= a.columns; i += kWidth) {
      Floats v = LoadAsFloats(sums + i) * (row_scale * Load(a.column_scale + i));
      if (a.bias != nullptr) v = v + Load(a.bias + i);
      Store(out + i, v);
    }
    if (i < a.columns) {
      const int n = a.columns - i;
      Floats v = LoadAsFloats(sums + i) * (row_scale * LoadFirst(a.column_scale + i, n));
      if (a.bias != nullptr) v = v + LoadFirst(a.bias + i, n);
      StoreFirst(out + i, v, n);
    }
  }
}

}  // namespace tailor::TAILOR_ISA
