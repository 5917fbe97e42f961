// SPDX-License-Identifier: Apache-2.0
#include "engine/model/stored_forms.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace tailor {
namespace {

absl::Status Bad(const std::string& name, const std::string& text) {
  return absl::InvalidArgumentError(absl::StrCat("weights: ", name, ": ", text));
}

int64_t LoadI64(const TensorView& view, size_t index) {
  int64_t value = 0;
  std::memcpy(&value, view.data + index * sizeof(value), sizeof(value));
  return value;
}

// How many columns the mask keeps; nothing when it names columns that do not exist.
std::optional<size_t> CountKept(const TensorView& mask, int64_t columns) {
  const size_t row_bytes = mask.row_elements();
  const auto used = static_cast<unsigned>(columns % 8);
  const unsigned beyond = used == 0 ? 0U : 0xFFU << used & 0xFFU;
  size_t kept = 0;
  for (size_t i = 0; i < mask.num_elements(); ++i) {
    const auto byte = std::to_integer<uint8_t>(mask.data[i]);
    if ((i + 1) % row_bytes == 0 && (byte & beyond) != 0) return std::nullopt;
    kept += static_cast<size_t>(std::popcount(byte));
  }
  return kept;
}

}  // namespace

absl::StatusOr<TensorView> Decompress(const BitmaskMatrix& matrix, int64_t rows, int64_t columns,
                                      const std::string& name, TensorPool* pool) {
  const int64_t stored_rows = LoadI64(matrix.shape, 0);
  const int64_t stored_columns = LoadI64(matrix.shape, 1);
  if (stored_rows != rows || stored_columns != columns) {
    return Bad(name, absl::StrCat("expected the compressed shape ", rows, " x ", columns, ", got ",
                                  stored_rows, " x ", stored_columns));
  }
  const std::optional<size_t> kept = CountKept(matrix.mask, columns);
  if (!kept) return Bad(name, absl::StrCat("bitmask: expected no bit beyond column ", columns - 1));
  const size_t num_values = matrix.values.num_elements();
  if (*kept != num_values) {
    return Bad(name, absl::StrCat("bitmask: expected one bit for each of the ", num_values,
                                  " values, got ", *kept));
  }
  auto [dense, bytes] = pool->Add(matrix.values.dtype, {rows, columns});
  const size_t element = ByteSize(matrix.values.dtype);
  const std::byte* value = matrix.values.data;
  for (size_t row = 0; row < static_cast<size_t>(rows); ++row) {
    const std::byte* mask = matrix.mask.row(row);
    for (size_t column = 0; column < static_cast<size_t>(columns); ++column) {
      if ((std::to_integer<unsigned>(mask[column / 8]) >> (column % 8) & 1U) == 0) continue;
      const size_t place = row * static_cast<size_t>(columns) + column;
      std::memcpy(bytes.data() + place * element, value, element);
      value += element;
    }
  }
  return std::move(dense);
}

TensorView Dequantize(const TensorView& codes, const TensorView& scales, TensorPool* pool) {
  std::vector<float> values = ToF32(codes);
  const std::vector<float> scale = ToF32(scales);
  const size_t columns = codes.row_elements();
  for (size_t i = 0; i < values.size(); ++i) values[i] *= scale[i / columns];
  return pool->Add(values, codes.shape);
}

TensorView FoldEmbeddings(const TensorView& narrow, const TensorView& weight,
                          const TensorView& bias, TensorPool* pool) {
  const std::vector<float> vectors = ToF32(narrow);
  const std::vector<float> map = ToF32(weight);
  const std::vector<float> offset = ToF32(bias);
  const size_t words = static_cast<size_t>(narrow.dim(0));
  const size_t width = narrow.row_elements();
  const size_t hidden = offset.size();
  // Column by column, so that the inner loop has no chain of sums and compilers vectorise it.
  std::vector<double> columns(width * hidden);
  for (size_t i = 0; i < width; ++i) {
    for (size_t h = 0; h < hidden; ++h) columns[i * hidden + h] = map[h * width + i];
  }
  std::vector<float> table(words * hidden);
  std::vector<double> sums(hidden);
  for (size_t word = 0; word < words; ++word) {
    std::copy(offset.begin(), offset.end(), sums.begin());
    for (size_t i = 0; i < width; ++i) {
      const double value = vectors[word * width + i];
      const double* column = columns.data() + i * hidden;
      for (size_t h = 0; h < hidden; ++h) sums[h] += value * column[h];
    }
    for (size_t h = 0; h < hidden; ++h) table[word * hidden + h] = static_cast<float>(sums[h]);
  }
  return pool->Add(table, {narrow.dim(0), static_cast<int64_t>(hidden)});
}

absl::Status CheckCodes(const TensorView& codes, const std::string& name) {
  for (size_t i = 0; i < codes.num_elements(); ++i) {
    if (codes.data[i] == std::byte{0x80}) {
      return Bad(name, "expected codes in [-127, 127], got -128");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckScales(const TensorView& scales, const std::string& name) {
  for (const float scale : ToF32(scales)) {
    if (!(scale > 0)) return Bad(name, absl::StrCat("expected scales above 0, got ", scale));
  }
  return absl::OkStatus();
}

}  // namespace tailor
