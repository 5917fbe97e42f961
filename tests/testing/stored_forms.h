// SPDX-License-Identifier: Apache-2.0
// Turns the tensors of a tiny model into the other forms that a folder may store, and writes
// folders that are derived from others.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"

#include "tests/testing/safetensors_writer.h"

namespace tailor::testing {

// The numbers of an F32, F16 or BF16 tensor.
std::vector<float> ValuesOf(const StoredTensor& tensor);

// `name`.weight [out, in] becomes I8 with `name`.weight_scale, and `name`.input_scale when there is
// one. Returns what the codes mean, as an F32 tensor.
StoredTensor StoreCodes(const std::string& name, std::optional<float> input_scale,
                        TensorMap* tensors);

// Numbers of `name`.weight whose index is not a multiple of `every` become 0; then .compressed,
// .bitmask and .shape replace the tensor. Returns the dense tensor with those zeros.
StoredTensor StoreBitmask(const std::string& name, size_t every, TensorMap* tensors);

// Multiplies column i of `name`.weight by factors[i].
void ScaleColumns(const std::string& name, const std::vector<float>& factors, TensorMap* tensors);

// A variant.json alone, with these keys in "derive".
void WriteDerived(const std::filesystem::path& folder, const std::string& id,
                  const std::string& family, const nlohmann::json& derive);

// masks.safetensors: `heads` and `neurons` hold one row a layer.
void WriteMasks(const std::filesystem::path& folder, const std::vector<std::vector<float>>& heads,
                const std::vector<std::vector<float>>& neurons);

}  // namespace tailor::testing
