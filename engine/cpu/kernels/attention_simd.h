// SPDX-License-Identifier: Apache-2.0
// Per head: keys are transposed and values copied once into contiguous scratch (rows of the
// projection are a multiple of 1 KiB apart and would fight for the same L1 sets), then blocks of 6
// queries go through scores, softmax and the sum of values while the score rows stay in L1.
#pragma once

#include "engine/cpu/kernels/attention.h"
#include "engine/cpu/kernels/simd.h"

namespace tailor::TAILOR_ISA {

// log2(kWidth) perfect shuffles of all rows are a transposition.
TAILOR_INLINE void TransposeSquare(Floats (&a)[kWidth]) {
  Floats b[kWidth];
#pragma GCC unroll 4
  for (int round = 1; round < kWidth; round *= 2) {
#pragma GCC unroll 8
    for (int i = 0; i < kWidth / 2; ++i) {
      b[2 * i] = ZipLow(a[i], a[i + kWidth / 2]);
      b[2 * i + 1] = ZipHigh(a[i], a[i + kWidth / 2]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < kWidth; ++i) a[i] = b[i];
  }
}

// kt[d][k] = key[k][d]: squares of kWidth x kWidth in registers. Columns from num_keys up to the
// next multiple of kWidth become 0.
TAILOR_INLINE void TransposeKeys(const float* key, size_t stride, int num_keys, int head_dim,
                                 float* kt, size_t kt_stride) {
  for (int k0 = 0; k0 < num_keys; k0 += kWidth) {
    for (int d0 = 0; d0 < head_dim; d0 += kWidth) {
      const int width = head_dim - d0 < kWidth ? head_dim - d0 : kWidth;
      Floats a[kWidth];
      for (int i = 0; i < kWidth; ++i) {
        const float* row = key + static_cast<size_t>(k0 + i) * stride + d0;
        a[i] = k0 + i >= num_keys ? Splat(0) : width == kWidth ? Load(row) : LoadFirst(row, width);
      }
      TransposeSquare(a);
      for (int i = 0; i < width; ++i)
        Store(kt + static_cast<size_t>(d0 + i) * kt_stride + k0, a[i]);
    }
  }
}

// packed[k][0 .. head_dim rounded up to kWidth) = value[k], padded with 0.
TAILOR_INLINE void PackValues(const float* value, size_t stride, int num_keys, int head_dim,
                              float* packed, size_t packed_stride) {
  for (int k = 0; k < num_keys; ++k) {
    const float* row = value + static_cast<size_t>(k) * stride;
    float* out = packed + static_cast<size_t>(k) * packed_stride;
    int d = 0;
    for (; d + kWidth <= head_dim; d += kWidth) Store(out + d, Load(row + d));
    if (d < head_dim) Store(out + d, LoadFirst(row + d, head_dim - d));
  }
}

// acc[r][v] = sum over i of a[r * a_stride + i] * b[i * b_stride + v * kWidth]: the one product of
// this file, for scores (i = dimension) and for the sum of values (i = key).
template <int kRows, int kVectors>
TAILOR_INLINE void Block(const float* a, size_t a_stride, const float* b, size_t b_stride,
                         int length, Floats (&acc)[kRows][kVectors]) {
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) acc[r][v] = Splat(0);
  }
  for (int i = 0; i < length; ++i) {
    Floats column[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) column[v] = Load(b + v * kWidth);
#pragma GCC unroll 6
    for (int r = 0; r < kRows; ++r) {
      const Floats x = Splat(a[static_cast<size_t>(r) * a_stride + i]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) acc[r][v] = MulAdd(x, column[v], acc[r][v]);
    }
    b += b_stride;
  }
}

template <int kRows, int kVectors>
TAILOR_INLINE void ScoreColumns(const AttentionArgs& args, const float* query, const float* kt,
                                size_t padded_keys, int k0, float* scores) {
  Floats acc[kRows][kVectors];
  Block<kRows, kVectors>(query, args.query_stride, kt + k0, padded_keys, args.head_dim, acc);
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) {
      Store(scores + r * padded_keys + k0 + v * kWidth, acc[r][v]);
    }
  }
}

// One row of scores -> e^(score - largest), and returns 1 / their sum.
TAILOR_INLINE float SoftmaxRow(float* scores, int num_keys) {
  const Floats lowest = Splat(-3.0e38F);
  Floats top0 = lowest;
  Floats top1 = lowest;
  const int full = num_keys / kWidth * kWidth;
  int k = 0;
  for (; k + 2 * kWidth <= full; k += 2 * kWidth) {
    top0 = Max(Load(scores + k), top0);
    top1 = Max(Load(scores + k + kWidth), top1);
  }
  if (k < full) top0 = Max(Load(scores + k), top0);
  if (full < num_keys) {
    top1 = Max(KeepFirstElse(Load(scores + full), lowest, num_keys - full), top1);
  }
  const Floats top = Splat(Largest(Max(top0, top1)));
  Floats sum0 = Splat(0);
  Floats sum1 = Splat(0);
  const Floats floor = Splat(-87.0F);  // e^-87 is the smallest power that is a normal number
  for (k = 0; k + 2 * kWidth <= full; k += 2 * kWidth) {
    const Floats e0 = Exp(Max(Load(scores + k) - top, floor));
    const Floats e1 = Exp(Max(Load(scores + k + kWidth) - top, floor));
    Store(scores + k, e0);
    Store(scores + k + kWidth, e1);
    sum0 = sum0 + e0;
    sum1 = sum1 + e1;
  }
  for (; k < num_keys; k += kWidth) {
    Floats e = Exp(Max(Load(scores + k) - top, floor));
    if (k == full) e = KeepFirst(e, num_keys - full);
    Store(scores + k, e);
    sum0 = sum0 + e;
  }
  return 1.0F / Sum(sum0 + sum1);
}

template <int kRows, int kVectors>
TAILOR_INLINE void ContextColumns(const AttentionArgs& args, const float* scores,
                                  size_t padded_keys, const float* packed, size_t packed_stride,
                                  int d0, const float* inverse, size_t out) {
  Floats acc[kRows][kVectors];
  Block<kRows, kVectors>(scores, padded_keys, packed + d0, packed_stride, args.num_keys, acc);
  const size_t width = static_cast<size_t>(args.num_heads) * args.head_dim;
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) {
      const int d = d0 + v * kWidth;
      const int n = args.head_dim - d;
      const size_t at = out + static_cast<size_t>(r) * width + d;
      const Floats value = acc[r][v] * Splat(inverse[r]);
      if (n >= kWidth) {
        Store(args.context + at, value);
      } else {
        StoreFirst(args.context + at, value, n);
      }
    }
  }
}

// One head's scratch, set up once for all blocks of queries.
struct Head {
  const float* kt;      // [head_dim, padded_keys]
  const float* packed;  // [num_keys, padded_dim]
  float* scores;        // [kAttentionQueryRows, padded_keys]
  size_t padded_keys;
  size_t padded_dim;
};

template <int kRows>
static void AttendBlock(const AttentionArgs& args, const Head& head, const float* query,
                        size_t out) noexcept {
  const int num_keys = args.num_keys;
  int k = 0;
  for (; k + kBlockVectors * kWidth <= num_keys; k += kBlockVectors * kWidth) {
    ScoreColumns<kRows, kBlockVectors>(args, query, head.kt, head.padded_keys, k, head.scores);
  }
  for (; k < num_keys; k += kWidth) {
    ScoreColumns<kRows, 1>(args, query, head.kt, head.padded_keys, k, head.scores);
  }
  float inverse[kRows];
  for (int r = 0; r < kRows; ++r) {
    inverse[r] = SoftmaxRow(head.scores + r * head.padded_keys, num_keys);
  }
  const int dims = args.head_dim;
  int d = 0;
  for (; d + (kBlockVectors - 1) * kWidth < dims; d += kBlockVectors * kWidth) {
    ContextColumns<kRows, kBlockVectors>(args, head.scores, head.padded_keys, head.packed,
                                         head.padded_dim, d, inverse, out);
  }
  for (; d + kWidth < dims; d += 2 * kWidth) {
    ContextColumns<kRows, 2>(args, head.scores, head.padded_keys, head.packed, head.padded_dim, d,
                             inverse, out);
  }
  if (d < dims) {
    ContextColumns<kRows, 1>(args, head.scores, head.padded_keys, head.packed, head.padded_dim, d,
                             inverse, out);
  }
}

static void Attention(const AttentionArgs& args) noexcept {
  Head head;
  head.padded_keys = AttentionPadded(args.num_keys);
  head.padded_dim = AttentionPadded(args.head_dim);
  float* kt = args.scratch;
  float* packed = kt + head.padded_keys * head.padded_dim;
  head.kt = kt;
  head.packed = packed;
  head.scores = packed + head.padded_keys * head.padded_dim;
  const size_t width = static_cast<size_t>(args.num_heads) * args.head_dim;
  for (int h = 0; h < args.num_heads; ++h) {
    const size_t first = static_cast<size_t>(h) * args.head_dim;
    TransposeKeys(args.key + first, args.key_value_stride, args.num_keys, args.head_dim, kt,
                  head.padded_keys);
    PackValues(args.value + first, args.key_value_stride, args.num_keys, args.head_dim, packed,
               head.padded_dim);
    const float* query = args.query + first;
    int r = 0;
    for (; r + 6 <= args.num_queries; r += 6) {
      AttendBlock<6>(args, head, query + r * args.query_stride, r * width + first);
    }
    query += r * args.query_stride;
    const size_t out = r * width + first;
    switch (args.num_queries - r) {
      case 5:
        AttendBlock<5>(args, head, query, out);
        break;
      case 4:
        AttendBlock<4>(args, head, query, out);
        break;
      case 3:
        AttendBlock<3>(args, head, query, out);
        break;
      case 2:
        AttendBlock<2>(args, head, query, out);
        break;
      case 1:
        AttendBlock<1>(args, head, query, out);
        break;
      default:
        break;
    }
  }
}

}  // namespace tailor::TAILOR_ISA
