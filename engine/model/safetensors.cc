// SPDX-License-Identifier: Apache-2.0
#include "engine/model/safetensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <tuple>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"

#include "base/checked_math.h"
#include "base/status_macros.h"
#include "engine/model/json_fields.h"
#include "engine/model/json_text.h"

namespace tailor {
namespace {

using nlohmann::json;

constexpr uint64_t kSizeBytes = 8;
constexpr size_t kMaxRank = 8;
constexpr size_t kMaxNameLength = 256;

struct ElementType {
  absl::string_view name;
  size_t bytes;
  std::optional<DType> dtype;
};

constexpr std::array<ElementType, 15> kElementTypes = {{
    {"F32", 4, DType::kF32},
    {"F16", 2, DType::kF16},
    {"BF16", 2, DType::kBf16},
    {"F64", 8, std::nullopt},
    {"I64", 8, DType::kI64},
    {"U64", 8, std::nullopt},
    {"I32", 4, std::nullopt},
    {"U32", 4, std::nullopt},
    {"I16", 2, std::nullopt},
    {"U16", 2, std::nullopt},
    {"I8", 1, DType::kI8},
    {"U8", 1, DType::kU8},
    {"BOOL", 1, std::nullopt},
    {"F8_E4M3", 1, std::nullopt},
    {"F8_E5M2", 1, std::nullopt},
}};

template <typename... Parts>
absl::Status Bad(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

absl::Status CheckName(const std::string& name) {
  bool good = !name.empty() && name.size() <= kMaxNameLength;
  for (const char c : name) good = good && c > 0x20 && c < 0x7F && c != '"' && c != '\\';
  if (good) return absl::OkStatus();
  return Bad("expected a tensor name of 1 to ", kMaxNameLength, " printable characters, got \"",
             absl::CHexEscape(name.substr(0, 80)), "\"");
}

bool IsCount(const json& value) { return value.is_number_unsigned(); }

// begin and end, still relative to the data.
absl::StatusOr<std::pair<uint64_t, uint64_t>> ReadOffsets(const json& entry, uint64_t data_bytes) {
  const auto it = entry.find("data_offsets");
  if (it == entry.end() || !it->is_array() || it->size() != 2 || !IsCount((*it)[0]) ||
      !IsCount((*it)[1])) {
    return Bad("data_offsets: expected two offsets, got ",
               it == entry.end() ? "nothing" : ShortJson(*it));
  }
  const auto begin = (*it)[0].get<uint64_t>();
  const auto end = (*it)[1].get<uint64_t>();
  if (begin > end || end > data_bytes) {
    return Bad("data_offsets: expected an ordered range within the ", data_bytes,
               " bytes of data in the file, got [", begin, ", ", end, ")");
  }
  return std::pair(begin, end);
}

absl::StatusOr<std::vector<int64_t>> ReadShape(const json& entry) {
  const auto it = entry.find("shape");
  bool good = it != entry.end() && it->is_array() && it->size() <= kMaxRank;
  std::vector<int64_t> shape;
  for (size_t i = 0; good && i < it->size(); ++i) {
    good = IsCount((*it)[i]) && (*it)[i].get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX);
    if (good) shape.push_back((*it)[i].get<int64_t>());
  }
  if (good) return shape;
  return Bad("shape: expected at most ", kMaxRank, " dimensions, got ",
             it == entry.end() ? "nothing" : ShortJson(*it));
}

absl::StatusOr<const ElementType*> ReadElementType(const json& entry) {
  const auto it = entry.find("dtype");
  if (it != entry.end() && it->is_string()) {
    for (const ElementType& type : kElementTypes) {
      if (type.name == it->get_ref<const std::string&>()) return &type;
    }
  }
  return Bad("dtype: expected F32, F16, BF16 or another known type, got ",
             it == entry.end() ? "nothing" : ShortJson(*it));
}

absl::StatusOr<TensorInfo> ReadTensor(const std::string& name, const json& entry,
                                      uint64_t data_bytes) {
  if (!entry.is_object()) return Bad("expected an object, got ", ShortJson(entry));
  if (entry.size() != 3) {
    return Bad("expected the keys dtype, shape and data_offsets, got ", entry.size(), " keys");
  }
  TAILOR_ASSIGN_OR_RETURN(const ElementType* type, ReadElementType(entry));
  TAILOR_ASSIGN_OR_RETURN(std::vector<int64_t> shape, ReadShape(entry));
  TAILOR_ASSIGN_OR_RETURN(const auto range, ReadOffsets(entry, data_bytes));
  const std::optional<size_t> count = CheckedElementCount(shape);
  const std::optional<size_t> bytes = count ? CheckedMul(*count, type->bytes) : std::nullopt;
  if (!bytes || *bytes != range.second - range.first) {
    return Bad("expected ", bytes ? absl::StrCat(*bytes) : "a count of", " bytes for ", type->name,
               " [", absl::StrJoin(shape, ", "), "], got ", range.second - range.first);
  }
  return TensorInfo{.name = name,
                    .dtype_name = std::string(type->name),
                    .dtype = type->dtype,
                    .shape = std::move(shape),
                    .offset = range.first,
                    .bytes = *bytes};
}

absl::Status CheckMetadata(const json& metadata) {
  bool good = metadata.is_object();
  for (auto it = metadata.begin(); good && it != metadata.end(); ++it) good = it->is_string();
  if (good) return absl::OkStatus();
  return Bad("__metadata__: expected an object of strings, got ", ShortJson(metadata));
}

// Sorts and requires that the tensors cover the data exactly once.
absl::Status CheckCoverage(std::vector<TensorInfo>* tensors, uint64_t data_bytes) {
  std::sort(tensors->begin(), tensors->end(), [](const TensorInfo& a, const TensorInfo& b) {
    return std::tie(a.offset, a.bytes, a.name) < std::tie(b.offset, b.bytes, b.name);
  });
  uint64_t covered = 0;
  for (const TensorInfo& tensor : *tensors) {
    if (tensor.offset != covered) {
      return Bad(tensor.name, ": expected data from byte ", covered, ", got byte ", tensor.offset,
                 tensor.offset < covered ? " (overlaps the tensor before it)"
                                         : " (a gap after the tensor before it)");
    }
    covered += tensor.bytes;
  }
  if (covered != data_bytes) {
    return Bad("expected ", covered, " bytes of tensors after the header, got ", data_bytes,
               data_bytes > covered ? " (left-over bytes)" : "");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<TensorInfo>> ParseSafetensorsHeader(absl::string_view header,
                                                               uint64_t data_bytes) {
  absl::StatusOr<json> root =
      ParseJson(header, {.max_bytes = kMaxSafetensorsHeader, .max_depth = 4});
  if (!root.ok()) return Bad("header: ", root.status().message());
  if (!root->is_object()) return Bad("header: expected an object, got ", ShortJson(*root));
  if (root->size() > kMaxTensors + 1) {
    return Bad("header: expected at most ", kMaxTensors, " tensors, got ", root->size());
  }
  std::vector<TensorInfo> tensors;
  tensors.reserve(root->size());
  for (const auto& [name, entry] : root->items()) {
    if (name == "__metadata__") {
      TAILOR_RETURN_IF_ERROR(CheckMetadata(entry));
      continue;
    }
    TAILOR_RETURN_IF_ERROR(CheckName(name));
    absl::StatusOr<TensorInfo> tensor = ReadTensor(name, entry, data_bytes);
    if (!tensor.ok()) return Bad(name, ": ", tensor.status().message());
    tensors.push_back(*std::move(tensor));
  }
  TAILOR_RETURN_IF_ERROR(CheckCoverage(&tensors, data_bytes));
  return tensors;
}

absl::StatusOr<std::vector<TensorInfo>> ReadSafetensorsHeader(const InputFile& file) {
  if (file.size() < kSizeBytes) {
    return Bad(file.name(), ": expected a safetensors file of at least ", kSizeBytes,
               " bytes, got ", file.size());
  }
  uint64_t header_size = 0;
  TAILOR_RETURN_IF_ERROR(file.ReadAt(0, std::as_writable_bytes(std::span(&header_size, 1))));
  const uint64_t limit = std::min(kMaxSafetensorsHeader, file.size() - kSizeBytes);
  if (header_size > limit) {
    return Bad(file.name(), ": header: expected at most ", limit, " bytes, got a size of ",
               header_size);
  }
  std::string header(header_size, '\0');
  TAILOR_RETURN_IF_ERROR(file.ReadAt(kSizeBytes, std::as_writable_bytes(std::span(header))));
  const uint64_t data_begin = kSizeBytes + header_size;
  absl::StatusOr<std::vector<TensorInfo>> tensors =
      ParseSafetensorsHeader(header, file.size() - data_begin);
  if (!tensors.ok()) return Bad(file.name(), ": ", tensors.status().message());
  for (TensorInfo& tensor : *tensors) tensor.offset += data_begin;
  return tensors;
}

}  // namespace tailor
