// SPDX-License-Identifier: Apache-2.0
// Writes safetensors files for tests, well formed or broken on purpose.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/tensor/dtype.h"

namespace tailor::testing {

struct StoredTensor {
  std::string dtype = "F32";  // as safetensors spells it
  std::vector<int64_t> shape;
  std::string bytes;  // row-major, little-endian
};

using TensorMap = std::map<std::string, StoredTensor>;

// Rounds to nearest, ties to even.
uint16_t F16FromF32(float value);
uint16_t Bf16FromF32(float value);

// Integer types take whole numbers in their range.
StoredTensor MakeTensor(DType dtype, std::vector<int64_t> shape, std::span<const float> values);

// The file's content: 8 bytes header size, the header, the tensors in the order of the map.
std::string SerializeSafetensors(const TensorMap& tensors);

// The same with a header of the caller's, however wrong.
std::string SerializeSafetensors(std::string_view header, std::string_view data);

// Replaces the file; creates its folder.
void WriteFile(const std::filesystem::path& path, std::string_view content);

}  // namespace tailor::testing
