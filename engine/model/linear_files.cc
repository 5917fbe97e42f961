// SPDX-License-Identifier: Apache-2.0
#include "engine/model/linear_files.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "base/status_macros.h"
#include "engine/model/weight_files.h"

namespace tailor {
namespace {

constexpr int kMinBits = 4;
constexpr int kMaxBits = 24;

struct Wanted {
  std::string name;
  int64_t size;
  TensorView* view;
};

absl::Status Problem(const std::string& text) {
  return absl::InvalidArgumentError(absl::StrCat("weights: ", text));
}

// The tensors of the file must be `wanted`, no more and no fewer.
absl::StatusOr<std::vector<WeightFiles::Request>> Match(const WeightFiles& files,
                                                        std::span<const Wanted> wanted) {
  std::vector<WeightFiles::Request> requests;
  for (const Wanted& one : wanted) {
    const auto it = std::find_if(
        files.tensors().begin(), files.tensors().end(),
        [&](const WeightFiles::Tensor& tensor) { return tensor.info.name == one.name; });
    if (it == files.tensors().end()) {
      return Problem(absl::StrCat(one.name, ": expected this tensor, got none"));
    }
    const TensorInfo& info = it->info;
    if (info.shape != std::vector<int64_t>{one.size}) {
      return Problem(absl::StrCat(one.name, ": expected shape [", one.size, "], got [",
                                  absl::StrJoin(info.shape, ", "), "]"));
    }
    if (!info.dtype || !IsFloat(*info.dtype)) {
      return Problem(absl::StrCat(one.name, ": expected F32, F16 or BF16, got ", info.dtype_name));
    }
    requests.push_back({.tensor = &*it, .view = one.view});
  }
  if (files.tensors().size() == wanted.size()) return requests;
  return Problem(absl::StrCat("expected the ", wanted.size(), " tensors of a linear variant, got ",
                              files.tensors().size()));
}

}  // namespace

bool IsLinearArch(const nlohmann::json& arch) {
  return arch.is_object() && arch.contains("kind") && arch["kind"] == "linear";
}

LinearSpec ReadLinearSpec(const JsonFields& arch) {
  arch.RefuseUnknown(
      std::vector<std::string>{"kind", "features", "bits", "hash_seed", "average_length"});
  for (const char* key : {"features", "bits", "hash_seed", "average_length"}) arch.Require(key);
  arch.Int("features", kLinearFeatures, kLinearFeatures);
  const double seed = arch.Number("hash_seed", 0, UINT32_MAX).value_or(0);
  if (seed != std::floor(seed)) arch.FailExpected("hash_seed", "an integer");
  return {.bits = arch.Int("bits", kMinBits, kMaxBits).value_or(kMinBits),
          .hash_seed = static_cast<uint32_t>(seed),
          .average_length = arch.Number("average_length", 1, 1e6).value_or(1)};
}

absl::StatusOr<LinearFiles> ReadLinearFiles(const ModelFolder& folder, const LinearSpec& spec,
                                            int vocab_size) {
  TAILOR_ASSIGN_OR_RETURN(const WeightFiles files, WeightFiles::Open(folder));
  LinearFiles result;
  result.model.spec = spec;
  const std::array<Wanted, 3> wanted = {
      {{"linear.dense.weight", kDenseFeatures, &result.model.dense},
       {"linear.hashed.weight", int64_t{1} << spec.bits, &result.model.hashed},
       {"linear.idf", vocab_size, &result.model.idf}}};
  TAILOR_ASSIGN_OR_RETURN(const std::vector<WeightFiles::Request> requests, Match(files, wanted));
  TAILOR_ASSIGN_OR_RETURN(result.storage, files.Read(requests));
  for (const WeightFiles::Request& request : requests) {
    result.num_parameters += static_cast<int64_t>(request.view->num_elements());
    result.weight_bytes += static_cast<int64_t>(request.tensor->info.bytes);
  }
  const std::vector<float> idf = ToF32(result.model.idf);
  const float least = *std::min_element(idf.begin(), idf.end());
  if (least >= 0) return result;
  return Problem(absl::StrCat("linear.idf: expected numbers of at least 0, got ", least));
}

}  // namespace tailor
