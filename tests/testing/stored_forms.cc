// SPDX-License-Identifier: Apache-2.0
#include "tests/testing/stored_forms.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "engine/tensor/tensor_view.h"

namespace tailor::testing {

using nlohmann::json;

std::vector<float> ValuesOf(const StoredTensor& tensor) {
  const DType dtype = tensor.dtype == "F32"   ? DType::kF32
                      : tensor.dtype == "F16" ? DType::kF16
                                              : DType::kBf16;
  return ToF32({.data = reinterpret_cast<const std::byte*>(tensor.bytes.data()),
                .dtype = dtype,
                .shape = tensor.shape});
}

StoredTensor StoreCodes(const std::string& name, std::optional<float> input_scale,
                        TensorMap* tensors) {
  StoredTensor& weight = tensors->at(name + ".weight");
  const std::vector<int64_t> shape = weight.shape;
  std::vector<float> codes = ValuesOf(weight);
  std::vector<float> means(codes.size());
  std::vector<float> scales;
  const auto columns = static_cast<size_t>(shape[1]);
  for (size_t start = 0; start < codes.size(); start += columns) {
    float largest = 0;
    for (size_t i = start; i < start + columns; ++i) {
      largest = std::max(largest, std::abs(codes[i]));
    }
    const float scale = largest == 0 ? 1 : largest / 127;
    scales.push_back(scale);
    for (size_t i = start; i < start + columns; ++i) {
      codes[i] = std::clamp(std::nearbyint(codes[i] / scale), -127.0F, 127.0F);
      means[i] = codes[i] * scale;
    }
  }
  weight = MakeTensor(DType::kI8, shape, codes);
  (*tensors)[name + ".weight_scale"] = MakeTensor(DType::kF32, {shape[0]}, scales);
  if (input_scale) {
    (*tensors)[name + ".input_scale"] = MakeTensor(DType::kF32, {1}, {{*input_scale}});
  }
  return MakeTensor(DType::kF32, shape, means);
}

StoredTensor StoreBitmask(const std::string& name, size_t every, TensorMap* tensors) {
  const StoredTensor weight = tensors->at(name + ".weight");
  std::vector<float> dense = ValuesOf(weight);
  const auto columns = static_cast<size_t>(weight.shape[1]);
  const size_t row_bytes = (columns + 7) / 8;
  std::vector<float> kept;
  std::vector<float> mask(static_cast<size_t>(weight.shape[0]) * row_bytes);
  for (size_t i = 0; i < dense.size(); ++i) {
    if (i % every != 0) {
      dense[i] = 0;
      continue;
    }
    kept.push_back(dense[i]);
    const size_t column = i % columns;
    mask[i / columns * row_bytes + column / 8] += static_cast<float>(1U << (column % 8));
  }
  tensors->erase(name + ".weight");
  const auto count = static_cast<int64_t>(kept.size());
  (*tensors)[name + ".weight.compressed"] = MakeTensor(DType::kF32, {count}, kept);
  (*tensors)[name + ".weight.bitmask"] =
      MakeTensor(DType::kU8, {weight.shape[0], static_cast<int64_t>(row_bytes)}, mask);
  (*tensors)[name + ".weight.shape"] =
      MakeTensor(DType::kI64, {2},
                 {{static_cast<float>(weight.shape[0]), static_cast<float>(weight.shape[1])}});
  return MakeTensor(DType::kF32, weight.shape, dense);
}

void ScaleColumns(const std::string& name, const std::vector<float>& factors, TensorMap* tensors) {
  StoredTensor& weight = tensors->at(name + ".weight");
  std::vector<float> values = ValuesOf(weight);
  TAILOR_CHECK(factors.size() == static_cast<size_t>(weight.shape[1]));
  for (size_t i = 0; i < values.size(); ++i) values[i] *= factors[i % factors.size()];
  weight = MakeTensor(DType::kF32, weight.shape, values);
}

void WriteDerived(const std::filesystem::path& folder, const std::string& id,
                  const std::string& family, const json& derive) {
  const json manifest = {{"schema_version", 1}, {"id", id}, {"family", family}, {"derive", derive}};
  WriteFile(folder / "variant.json", manifest.dump(2));
}

void WriteMasks(const std::filesystem::path& folder, const std::vector<std::vector<float>>& heads,
                const std::vector<std::vector<float>>& neurons) {
  TensorMap tensors;
  for (const auto& [name, rows] : {std::pair("heads", &heads), std::pair("neurons", &neurons)}) {
    std::vector<float> values;
    for (const std::vector<float>& row : *rows) {
      values.insert(values.end(), row.begin(), row.end());
    }
    const std::vector<int64_t> shape = {static_cast<int64_t>(rows->size()),
                                        static_cast<int64_t>(rows->front().size())};
    tensors[name] = MakeTensor(DType::kF32, shape, values);
  }
  WriteFile(folder / "masks.safetensors", SerializeSafetensors(tensors));
}

}  // namespace tailor::testing
