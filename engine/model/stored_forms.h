// SPDX-License-Identifier: Apache-2.0
// Forms in which a matrix may be stored, and what they mean: each becomes a plain one at load.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "engine/model/tensor_pool.h"
#include "engine/tensor/tensor_view.h"

namespace tailor {

// A matrix of which only the numbers that are not pruned are kept.
struct BitmaskMatrix {
  TensorView values;  // [kept] floats, row by row
  TensorView mask;    // u8 [rows, ceil(columns / 8)]; bit i of byte j: column 8j + i is kept
  TensorView shape;   // i64 [2]: rows, columns
};

// The dense matrix, in the type of its values. InvalidArgument, starting with `name`, when shape is
// not {rows, columns}, or the mask does not have as many bits as there are values, or has bits
// beyond the last column.
absl::StatusOr<TensorView> Decompress(const BitmaskMatrix& matrix, int64_t rows, int64_t columns,
                                      const std::string& name, TensorPool* pool);

// codes [rows, columns] i8 times their row's scale [rows]; f32.
TensorView Dequantize(const TensorView& codes, const TensorView& scales, TensorPool* pool);

// Word vectors behind a linear map, as one table: narrow * weight^T + bias. narrow [words, width]
// of floats, weight [hidden, width], bias [hidden]; f32 [words, hidden], sums in double.
TensorView FoldEmbeddings(const TensorView& narrow, const TensorView& weight,
                          const TensorView& bias, TensorPool* pool);

// InvalidArgument, starting with `name`, unless the codes are in [-127, 127] (a symmetric range has
// no -128).
absl::Status CheckCodes(const TensorView& codes, const std::string& name);
// The same for scales: above 0.
absl::Status CheckScales(const TensorView& scales, const std::string& name);

}  // namespace tailor
