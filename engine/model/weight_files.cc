// SPDX-License-Identifier: Apache-2.0
#include "engine/model/weight_files.h"

#include <cstring>
#include <map>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "base/aligned_buffer.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "engine/model/json_fields.h"

namespace tailor {
namespace {

constexpr const char* kSingleFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";
constexpr size_t kMaxShards = 256;
constexpr uint64_t kAlignment = 64;

// All exponent bits set: infinity or NaN. Without branches, so that it runs at memory speed.
template <typename Bits>
bool HasNonFinite(const std::byte* data, size_t count, Bits exponent) {
  bool found = false;
  for (size_t i = 0; i < count; ++i) {
    Bits bits = 0;
    std::memcpy(&bits, data + i * sizeof(Bits), sizeof(Bits));
    found |= (bits & exponent) == exponent;
  }
  return found;
}

bool IsFinite(const TensorView& view) {
  const size_t count = view.num_elements();
  switch (view.dtype) {
    case DType::kF32:
      return !HasNonFinite<uint32_t>(view.data, count, 0x7F800000U);
    case DType::kF16:
      return !HasNonFinite<uint16_t>(view.data, count, 0x7C00U);
    case DType::kBf16:
      return !HasNonFinite<uint16_t>(view.data, count, 0x7F80U);
    case DType::kI8:
    case DType::kU8:
    case DType::kI64:
      return true;
  }
  return false;
}

uint64_t AlignUp(uint64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

absl::Status IndexProblem(const std::string& text) {
  return absl::InvalidArgumentError(absl::StrCat(kIndexFile, ": ", text));
}

// Tensor name -> shard.
absl::StatusOr<std::map<std::string, std::string>> ReadIndex(const ModelFolder& folder) {
  TAILOR_ASSIGN_OR_RETURN(const nlohmann::json index,
                          folder.ReadJson(kIndexFile, {.max_bytes = 8 << 20, .max_depth = 8}));
  absl::Status problem;
  const JsonFields fields(index, kIndexFile, &problem);
  fields.Require("weight_map");
  const nlohmann::json* entries = fields.Object("weight_map");
  if (!problem.ok()) return problem;
  std::map<std::string, std::string> shards;
  for (const auto& [tensor, shard] : entries->items()) {
    const std::string name = shard.is_string() ? shard.get<std::string>() : "";
    if (!CheckRelativePath(name).ok() || !absl::EndsWith(name, ".safetensors")) {
      return IndexProblem(
          absl::StrCat("weight_map: expected a relative path to a .safetensors "
                       "file without \"..\", got ",
                       ShortJson(shard)));
    }
    shards[tensor] = name;
  }
  return shards;
}

}  // namespace

absl::StatusOr<WeightFiles> WeightFiles::Open(const ModelFolder& folder) {
  WeightFiles weights;
  if (folder.Has(kSingleFile)) {
    TAILOR_RETURN_IF_ERROR(weights.AddFile(folder, kSingleFile));
  } else if (folder.Has(kIndexFile)) {
    TAILOR_RETURN_IF_ERROR(weights.AddShards(folder));
  } else {
    return absl::NotFoundError(absl::StrCat(
        kSingleFile, ": expected this file or ", kIndexFile, ", got neither",
        folder.Has("pytorch_model.bin") ? " (pytorch_model.bin is not read: convert it)" : ""));
  }
  return weights;
}

absl::StatusOr<WeightFiles> WeightFiles::OpenFile(const ModelFolder& folder,
                                                  const std::string& name) {
  WeightFiles weights;
  TAILOR_RETURN_IF_ERROR(weights.AddFile(folder, name));
  return weights;
}

absl::Status WeightFiles::AddFile(const ModelFolder& folder, const std::string& name) {
  TAILOR_ASSIGN_OR_RETURN(InputFile file, folder.OpenFile(name));
  TAILOR_ASSIGN_OR_RETURN(std::vector<TensorInfo> infos, ReadSafetensorsHeader(file));
  for (TensorInfo& info : infos) {
    tensors_.push_back({.info = std::move(info), .file = files_.size()});
  }
  files_.push_back(std::move(file));
  return absl::OkStatus();
}

absl::Status WeightFiles::AddShards(const ModelFolder& folder) {
  TAILOR_ASSIGN_OR_RETURN(const auto index, ReadIndex(folder));
  std::set<std::string> names;
  for (const auto& [tensor, shard] : index) names.insert(shard);
  if (names.size() > kMaxShards || index.size() > kMaxTensors) {
    return IndexProblem(absl::StrCat("expected at most ", kMaxShards, " shards and ", kMaxTensors,
                                     " tensors, got ", names.size(), " and ", index.size()));
  }
  for (const std::string& name : names) TAILOR_RETURN_IF_ERROR(AddFile(folder, name));
  std::set<std::string> found;
  for (const Tensor& tensor : tensors_) {
    const std::string& shard = files_[tensor.file].name();
    const auto it = index.find(tensor.info.name);
    if (it == index.end() || it->second != shard) {
      return IndexProblem(absl::StrCat("weight_map: expected ", tensor.info.name, " in ", shard,
                                       ", got ", it == index.end() ? "nothing" : it->second));
    }
    found.insert(tensor.info.name);
  }
  for (const auto& [tensor, shard] : index) {
    if (!found.contains(tensor)) {
      return IndexProblem(
          absl::StrCat("expected ", ShortJson(tensor), " in ", shard, ", got a file without it"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const void>> WeightFiles::Read(
    std::span<const Request> requests) const {
  uint64_t total = 0;
  for (const Request& request : requests) {
    TAILOR_CHECK(request.tensor->info.dtype.has_value());
    total += AlignUp(request.tensor->info.bytes);
    if (total > kMaxWeightBytes) {
      return absl::InvalidArgumentError(absl::StrCat(
          files_[0].name(), ": expected at most ", kMaxWeightBytes, " bytes of weights, got more"));
    }
  }
  auto storage = std::make_shared<AlignedBuffer<std::byte>>(total);
  uint64_t offset = 0;
  for (const Request& request : requests) {
    const TensorInfo& info = request.tensor->info;
    const InputFile& file = files_[request.tensor->file];
    const std::span<std::byte> target = storage->span().subspan(offset, info.bytes);
    TAILOR_RETURN_IF_ERROR(file.ReadAt(info.offset, target));
    *request.view = {.data = target.data(), .dtype = *info.dtype, .shape = info.shape};
    if (!IsFinite(*request.view)) {
      return absl::InvalidArgumentError(absl::StrCat(file.name(), ": ", info.name,
                                                     ": expected finite numbers, got NaN or "
                                                     "infinity"));
    }
    offset += AlignUp(info.bytes);
  }
  return std::shared_ptr<const void>(storage, storage->data());
}

}  // namespace tailor
