// SPDX-License-Identifier: Apache-2.0
#include "tests/testing/safetensors_writer.h"

#include <bit>
#include <cstring>
#include <fstream>

#include "nlohmann/json.hpp"

#include "base/check.h"

namespace tailor::testing {
namespace {

template <typename Integer>
void PutIntegers(std::span<const float> values, char* out) {
  for (const float value : values) {
    const auto integer = static_cast<Integer>(value);
    std::memcpy(out, &integer, sizeof(integer));
    out += sizeof(integer);
  }
}

}  // namespace

uint16_t F16FromF32(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000U;
  const uint32_t magnitude = bits & 0x7FFFFFFFU;
  if (magnitude >= 0x7F800000U) {  // infinity and NaN
    return static_cast<uint16_t>(sign | 0x7C00U | (magnitude > 0x7F800000U ? 0x200U : 0U));
  }
  if (magnitude >= 0x477FF000U) return static_cast<uint16_t>(sign | 0x7C00U);  // rounds above 65504
  if (magnitude < 0x38800000U) {  // subnormal: counted in steps of 2^-24, exact as a float product
    const float steps = std::bit_cast<float>(magnitude) * 16777216.0F;
    auto floor = static_cast<uint32_t>(steps);
    const float rest = steps - static_cast<float>(floor);
    if (rest > 0.5F || (rest == 0.5F && (floor & 1U) != 0)) ++floor;
    return static_cast<uint16_t>(sign | floor);
  }
  const uint32_t rounded = magnitude + 0xFFFU + ((magnitude >> 13) & 1U);
  return static_cast<uint16_t>(sign | ((rounded - 0x38000000U) >> 13));
}

uint16_t Bf16FromF32(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7FFFFFFFU) > 0x7F800000U) return static_cast<uint16_t>((bits >> 16) | 0x40U);
  return static_cast<uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
}

StoredTensor MakeTensor(DType dtype, std::vector<int64_t> shape, std::span<const float> values) {
  StoredTensor tensor;
  tensor.shape = std::move(shape);
  tensor.bytes.resize(values.size() * ByteSize(dtype));
  char* out = tensor.bytes.data();
  switch (dtype) {
    case DType::kF32:
      tensor.dtype = "F32";
      std::memcpy(out, values.data(), tensor.bytes.size());
      break;
    case DType::kF16:
    case DType::kBf16:
      tensor.dtype = dtype == DType::kF16 ? "F16" : "BF16";
      for (size_t i = 0; i < values.size(); ++i) {
        const uint16_t bits = dtype == DType::kF16 ? F16FromF32(values[i]) : Bf16FromF32(values[i]);
        std::memcpy(out + i * sizeof(bits), &bits, sizeof(bits));
      }
      break;
    case DType::kI8:
      tensor.dtype = "I8";
      PutIntegers<int8_t>(values, out);
      break;
    case DType::kU8:
      tensor.dtype = "U8";
      PutIntegers<uint8_t>(values, out);
      break;
    case DType::kI64:
      tensor.dtype = "I64";
      PutIntegers<int64_t>(values, out);
      break;
  }
  return tensor;
}

std::string SerializeSafetensors(const TensorMap& tensors) {
  nlohmann::json header = nlohmann::json::object();
  std::string data;
  for (const auto& [name, tensor] : tensors) {
    const size_t begin = data.size();
    data += tensor.bytes;
    header[name] = {
        {"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {begin, data.size()}}};
  }
  header["__metadata__"] = {{"format", "pt"}};
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  return SerializeSafetensors(text, data);
}

std::string SerializeSafetensors(std::string_view header, std::string_view data) {
  const uint64_t size = header.size();
  std::string file(sizeof(size), '\0');
  std::memcpy(file.data(), &size, sizeof(size));
  file += header;
  file += data;
  return file;
}

void WriteFile(const std::filesystem::path& path, std::string_view content) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(content.data(), static_cast<std::streamsize>(content.size()));
  out.close();
  TAILOR_CHECK(out.good());
}

}  // namespace tailor::testing
