// SPDX-License-Identifier: Apache-2.0
// Embedding and residual layer norms on vectors; both sum a row and then normalise it.
#pragma once

#include "engine/cpu/kernels/bias_residual_layer_norm.h"
#include "engine/cpu/kernels/embed_layer_norm.h"
#include "engine/cpu/kernels/simd.h"
#include "engine/cpu/kernels/store_tiles_simd.h"

namespace tailor::TAILOR_ISA {

// Four independent partial sums hide the latency of an addition (4 cycles, 2 a cycle).
struct PartialSums {
  Floats s0 = Splat(0);
  Floats s1 = Splat(0);
  Floats s2 = Splat(0);
  Floats s3 = Splat(0);
};
TAILOR_INLINE float Total(const PartialSums& p) { return Sum((p.s0 + p.s1) + (p.s2 + p.s3)); }

// Calls full(i, partial sum) for each whole vector of a row and tail(i, elements) for the rest.
template <typename Full, typename Tail>
TAILOR_INLINE void ForEachVector(int hidden, PartialSums& sums, const Full& full,
                                 const Tail& tail) {
  int i = 0;
  for (; i + 4 * kWidth <= hidden; i += 4 * kWidth) {
    full(i, sums.s0);
    full(i + kWidth, sums.s1);
    full(i + 2 * kWidth, sums.s2);
    full(i + 3 * kWidth, sums.s3);
  }
  for (; i + kWidth <= hidden; i += kWidth) full(i, sums.s0);
  if (i < hidden) tail(i, hidden - i);
}

// row [hidden] with its sum -> (row - mean) / sqrt(variance + eps) * gamma + beta.
TAILOR_INLINE void NormalizeRow(const float* row, float sum, int hidden, float eps,
                                const float* gamma, const float* beta, float* out) {
  const float inverse = 1.0F / static_cast<float>(hidden);
  const Floats mean = Splat(sum * inverse);
  PartialSums squares;
  ForEachVector(
      hidden, squares,
      [&](int i, Floats& sum_of_squares) {
        const Floats d = Load(row + i) - mean;
        sum_of_squares = MulAdd(d, d, sum_of_squares);
      },
      [&](int i, int n) {
        const Floats d = KeepFirst(LoadFirst(row + i, n) - mean, n);
        squares.s0 = MulAdd(d, d, squares.s0);
      });
  const Floats scale = Splat(1.0F / __builtin_sqrtf(Total(squares) * inverse + eps));
  int i = 0;
  for (; i + kWidth <= hidden; i += kWidth) {
    const Floats v = MulAdd((Load(row + i) - mean) * scale, Load(gamma + i), Load(beta + i));
    Store(out + i, v);
  }
  if (i < hidden) {
    const int n = hidden - i;
    const Floats v = MulAdd((LoadFirst(row + i, n) - mean) * scale, LoadFirst(gamma + i, n),
                            LoadFirst(beta + i, n));
    StoreFirst(out + i, v, n);
  }
}

static void BiasResidualLayerNorm(const BiasResidualLayerNormArgs& a) noexcept {
  for (int r = 0; r < a.rows; ++r) {
    const float* x = a.x + static_cast<size_t>(r) * a.hidden;
    const float* residual = a.residual + static_cast<size_t>(r) * a.hidden;
    float* out = a.out + static_cast<size_t>(r) * a.hidden;
    PartialSums sums;
    ForEachVector(
        a.hidden, sums,
        [&](int i, Floats& sum) {
          const Floats v = Load(x + i) + Load(a.bias + i) + Load(residual + i);
          sum = sum + v;
          Store(out + i, v);
        },
        [&](int i, int n) {
          const Floats v =
              LoadFirst(x + i, n) + LoadFirst(a.bias + i, n) + LoadFirst(residual + i, n);
          sums.s0 = sums.s0 + v;
          StoreFirst(out + i, v, n);
        });
    NormalizeRow(out, Total(sums), a.hidden, a.eps, a.gamma, a.beta, out);
    StoreTileRow(out, a.tiles, r);
  }
}

// Rows of the word table come in no order that hardware could foresee, and from beyond the
// second-level cache: they are asked for this many rows ahead. Measured in docs/benchmarks.md.
constexpr int kRowsAhead = 4;

TAILOR_INLINE void PrefetchRow(const float* row, size_t hidden) {
  constexpr size_t kLineFloats = 16;
  for (size_t i = 0; i < hidden; i += kLineFloats) __builtin_prefetch(row + i);
}

static void EmbedLayerNorm(const EmbedLayerNormArgs& a) noexcept {
  const size_t hidden = static_cast<size_t>(a.hidden);
  for (int r = 0; r < a.rows; ++r) {
    if (r + kRowsAhead < a.rows) {
      PrefetchRow(a.word_table + static_cast<size_t>(a.token_ids[r + kRowsAhead]) * hidden, hidden);
    }
    const float* word = a.word_table + static_cast<size_t>(a.token_ids[r]) * hidden;
    const float* position = a.position_table + static_cast<size_t>(a.first_position + r) * hidden;
    const float* type = a.type_table == nullptr
                            ? nullptr
                            : a.type_table + static_cast<size_t>(a.type_ids[r]) * hidden;
    float* out = a.out + static_cast<size_t>(r) * hidden;
    PartialSums sums;
    ForEachVector(
        a.hidden, sums,
        [&](int i, Floats& sum) {
          Floats v = Load(word + i) + Load(position + i);
          if (type != nullptr) v = v + Load(type + i);
          sum = sum + v;
          Store(out + i, v);
        },
        [&](int i, int n) {
          Floats v = LoadFirst(word + i, n) + LoadFirst(position + i, n);
          if (type != nullptr) v = v + LoadFirst(type + i, n);
          sums.s0 = sums.s0 + v;
          StoreFirst(out + i, v, n);
        });
    NormalizeRow(out, Total(sums), a.hidden, a.eps, a.gamma, a.beta, out);
    StoreTileRow(out, a.tiles, r);
  }
}

}  // namespace tailor::TAILOR_ISA
