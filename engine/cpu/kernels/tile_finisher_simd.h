// SPDX-License-Identifier: Apache-2.0
// What becomes of the sums of a tile product: scaled, biased, activated, stored. For the
// instruction sets with tiles, which all have AVX-512.
#pragma once

#include "engine/cpu/kernels/bias_activation_simd.h"
#include "engine/cpu/kernels/simd.h"
#include "engine/cpu/kernels/store_tiles_simd.h"
#include "engine/cpu/kernels/tile_product.h"

namespace tailor::TAILOR_ISA {

enum class TileActivation { kNone, kGeluErf, kGeluTanh, kRelu };

template <TileActivation kActivation, int kVectors>
TAILOR_INLINE void ActivateTile(Floats (&v)[kVectors]) {
  if constexpr (kActivation == TileActivation::kGeluErf) {
    Activate<KernelActivation::kGeluErf>(v);
  } else if constexpr (kActivation == TileActivation::kGeluTanh) {
    Activate<KernelActivation::kGeluTanh>(v);
  } else if constexpr (kActivation == TileActivation::kRelu) {
    Activate<KernelActivation::kRelu>(v);
  }
}

// f32, f32 added to what is there, tiles of the type of the product, or halves (kHalf).
enum class TileOutput { kFloats, kAddedFloats, kTiles, kHalves };

constexpr TileOutput OutputOf(TileType type, TileActivation activation) {
  return type != TileType::kInt8 && activation != TileActivation::kNone ? TileOutput::kTiles
                                                                        : TileOutput::kFloats;
}

// The sums of one block on their way out, two rows at a time. Each instruction beside those of the
// tiles takes a place in the scheduler, so all that the rows have in common is worked out once.
template <TileType kType, TileActivation kActivation, TileOutput kOutput>
class Finisher {
 public:
  // Of no rows.
  [[gnu::always_inline]] Finisher() = default;

  // The block of `rows` rows that starts at (row, column) of the call. sums: [rows,
  // kPanelOutputs], the bits of f32 unless kInt8.
  [[gnu::always_inline]] Finisher(const TileProductArgs& a, const int32_t* sums, int row,
                                  int column, int rows)
      : sums_(sums), row_(row), column_(column), rows_left_(rows) {
    for (int half = 0; half < 2; ++half) {
      const int n = a.out - column - 16 * half;
      mask_[half] = n >= 16 ? __mmask16{0xFFFF} : n > 0 ? First(n) : __mmask16{0};
      bias_[half] = Load(a.bias + column + 16 * half);
      if constexpr (kType == TileType::kInt8) {
        scale_[half] = Load(a.column_scale + column + 16 * half);
      }
    }
    if constexpr (kType == TileType::kInt8) row_scale_ = a.x.scales + a.x.first_row + row;
    stride_ = a.y_stride;
    const size_t first = static_cast<size_t>(row) * stride_ + column;
    if constexpr (kOutput == TileOutput::kTiles) tiles_ = a.y_tiles;
    if constexpr (kIsFloats) y_ = a.y + first;
    if constexpr (kOutput == TileOutput::kHalves) y_half_ = a.y_half + first;
  }

  [[gnu::always_inline]] bool IsDone() const { return rows_left_ <= 0; }

  // The next two rows, or the last one.
  [[gnu::always_inline]] void FinishRows() {
    __m512i sums[4];
    for (int i = 0; i < 4; ++i) sums[i] = _mm512_load_si512(sums_ + 16 * i);
    FinishRows(sums);
    sums_ += 2 * kPanelOutputs;
  }

  // The same from registers.
  [[gnu::always_inline]] void FinishRows(const __m512i (&sums)[4]) {
    const bool is_pair = rows_left_ > 1;
    Floats v[4];
    for (int i = 0; i < 4; ++i) {
      if constexpr (kType == TileType::kInt8) {
        const Floats row_scale = Splat(row_scale_[is_pair ? i / 2 : 0]);
        v[i] = MulAdd(_mm512_cvtepi32_ps(sums[i]), row_scale * scale_[i % 2], bias_[i % 2]);
      } else if constexpr (kOutput == TileOutput::kAddedFloats) {
        const float* y = y_ + (is_pair ? i / 2 * stride_ : 0) + i % 2 * 16;
        v[i] = _mm512_castsi512_ps(sums[i]) + _mm512_maskz_loadu_ps(mask_[i % 2], y);
      } else {
        v[i] = _mm512_castsi512_ps(sums[i]) + bias_[i % 2];
      }
    }
    ActivateTile<kActivation>(v);
    StoreRow(0, v[0], v[1]);
    if (is_pair) StoreRow(1, v[2], v[3]);
    if constexpr (kType == TileType::kInt8) row_scale_ += 2;
    if constexpr (kIsFloats) y_ += 2 * stride_;
    if constexpr (kOutput == TileOutput::kHalves) y_half_ += 2 * stride_;
    row_ += 2;
    rows_left_ -= 2;
  }

 private:
  static constexpr bool kIsFloats =
      kOutput == TileOutput::kFloats || kOutput == TileOutput::kAddedFloats;

  [[gnu::always_inline]] void StoreRow(int i, Floats first, Floats second) {
    if constexpr (kIsFloats) {
      float* row = y_ + static_cast<size_t>(i) * stride_;
      _mm512_mask_storeu_ps(row, mask_[0], first);
      _mm512_mask_storeu_ps(row + 16, mask_[1], second);
    }
#if defined(__AVX512BF16__) || defined(__AVX512FP16__)
    if constexpr (kOutput == TileOutput::kTiles) {
      std::byte* row = tiles_.Row(row_ + i);
      StoreTileColumns<kType>(row, column_, _mm512_maskz_mov_ps(mask_[0], first));
      StoreTileColumns<kType>(row, column_ + 16, _mm512_maskz_mov_ps(mask_[1], second));
    } else if constexpr (kOutput == TileOutput::kHalves) {
      const __mmask32 mask = mask_[0] | __mmask32{mask_[1]} << 16;
      _mm512_mask_storeu_epi16(y_half_ + static_cast<size_t>(i) * stride_, mask,
                               ToHalves(first, second));
    }
#endif
  }

  const int32_t* sums_ = nullptr;  // of the next row, as everything below
  const float* row_scale_ = nullptr;
  float* y_ = nullptr;
  uint16_t* y_half_ = nullptr;
  size_t stride_ = 0;
  TileRows tiles_ = {};
  int row_ = 0;
  int column_ = 0;
  int rows_left_ = 0;
  __mmask16 mask_[2] = {};  // outputs that there are
  Floats bias_[2] = {};
  Floats scale_[2] = {};  // kInt8 only
};

}  // namespace tailor::TAILOR_ISA
