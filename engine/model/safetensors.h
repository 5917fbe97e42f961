// SPDX-License-Identifier: Apache-2.0
// Reader of safetensors headers.
//
//   8 bytes   header size N, little-endian
//   N bytes   JSON: name -> {"dtype", "shape", "data_offsets": [begin, end)}, "__metadata__"
//   the rest  tensors, row-major, little-endian, without gaps; offsets count from here
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "engine/model/model_folder.h"
#include "engine/tensor/dtype.h"

namespace tailor {

struct TensorInfo {
  std::string name;            // printable ASCII
  std::string dtype_name;      // as the file spells it: "F32", "I64"
  std::optional<DType> dtype;  // nothing for types that hold no weights here
  std::vector<int64_t> shape;
  uint64_t offset = 0;  // in the file
  uint64_t bytes = 0;   // == product of shape * size of dtype
};

inline constexpr uint64_t kMaxSafetensorsHeader = 8 << 20;
inline constexpr size_t kMaxTensors = 10'000;

// Validates everything that the header claims against the size of the file: tensors cover the rest
// of the file exactly once. In the order of their offsets. Reads no tensor.
absl::StatusOr<std::vector<TensorInfo>> ReadSafetensorsHeader(const InputFile& file);

// The same for a header in memory; data_bytes is what follows it in the file.
absl::StatusOr<std::vector<TensorInfo>> ParseSafetensorsHeader(absl::string_view header,
                                                               uint64_t data_bytes);

}  // namespace tailor
