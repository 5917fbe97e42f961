// SPDX-License-Identifier: Apache-2.0
#include "engine/model/weight_binder.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "base/status_macros.h"

namespace tailor {
namespace {

constexpr const char* kWordEmbeddings = "embeddings.word_embeddings";
constexpr const char* kEmbeddingMap = "encoder.embedding_hidden_mapping_in";

// What Read gives out as one pointer.
struct Storage {
  std::shared_ptr<const void> stored;
  TensorPool converted;
};

}  // namespace

const char* WeightBinder::Expected(Holds holds) {
  switch (holds) {
    case Holds::kWeights:
    case Holds::kKept:
      return "F32, F16 or BF16";
    case Holds::kCodes:
      return "I8";
    case Holds::kScales:
      return "F32";
    case Holds::kMask:
      return "U8";
    case Holds::kShape:
      return "I64";
  }
  return "";
}

bool WeightBinder::Fits(Holds holds, DType dtype) {
  switch (holds) {
    case Holds::kWeights:
    case Holds::kKept:
      return IsFloat(dtype);
    case Holds::kCodes:
      return dtype == DType::kI8;
    case Holds::kScales:
      return dtype == DType::kF32;
    case Holds::kMask:
      return dtype == DType::kU8;
    case Holds::kShape:
      return dtype == DType::kI64;
  }
  return false;
}

bool WeightBinder::IsCoded(const std::string& name) const {
  const auto it = index_.find(name + ".weight");
  return it != index_.end() && it->second->info.dtype == DType::kI8;
}

// Of a vector; 0 when it is none.
int64_t WeightBinder::Length(const std::string& name) const {
  const std::vector<int64_t>& shape = index_.at(name)->info.shape;
  return shape.size() == 1 ? shape[0] : 0;
}

void WeightBinder::Fail(const std::string& text) {
  if (status_.ok()) status_ = absl::InvalidArgumentError(absl::StrCat("weights: ", text));
}

void WeightBinder::Take(Requests* requests, const std::string& name,
                        const std::vector<int64_t>& shape, Holds holds, TensorView* view) {
  const auto it = index_.find(name);
  if (it == index_.end()) {
    Fail(absl::StrCat(name, ": expected this tensor, got none"));
    return;
  }
  const TensorInfo& info = it->second->info;
  if (info.shape != shape) {
    Fail(absl::StrCat(info.name, ": expected shape [", absl::StrJoin(shape, ", "), "], got [",
                      absl::StrJoin(info.shape, ", "), "]"));
  } else if (!info.dtype || !Fits(holds, *info.dtype)) {
    Fail(absl::StrCat(info.name, ": expected ", Expected(holds), ", got ", info.dtype_name));
  } else {
    requests->push_back({.tensor = it->second, .view = view});
    taken_.insert(name);
    weight_bytes_ += static_cast<int64_t>(info.bytes);
    if (holds == Holds::kWeights || holds == Holds::kCodes) {
      num_parameters_ += static_cast<int64_t>(info.bytes / ByteSize(*info.dtype));
    }
  }
}

void WeightBinder::TakeCodes(Requests* requests, const std::string& name,
                             const std::vector<int64_t>& shape, TensorView* codes,
                             TensorView* scales) {
  const std::string weight = name + ".weight";
  const std::string scale = name + ".weight_scale";
  Take(requests, weight, shape, Holds::kCodes, codes);
  Take(requests, scale, {shape[0]}, Holds::kScales, scales);
  conversions_.push_back([weight, scale, codes, scales](TensorPool* /*pool*/) {
    TAILOR_RETURN_IF_ERROR(CheckCodes(*codes, weight));
    return CheckScales(*scales, scale);
  });
}

void WeightBinder::Convert(int64_t rows, int64_t columns,
                           std::function<absl::Status(TensorPool*)> convert) {
  // Both come from checked configurations and are below 2^24.
  converted_bytes_ += static_cast<uint64_t>(rows) * static_cast<uint64_t>(columns) * sizeof(float);
  if (converted_bytes_ > kMaxWeightBytes) {
    Fail(absl::StrCat("expected at most ", kMaxWeightBytes,
                      " bytes when they are decompressed, got more"));
  }
  conversions_.push_back(std::move(convert));
}

void WeightBinder::Table(const std::string& name, int rows, TensorView* view) {
  Take(&stored_, name + ".weight", {rows, hidden_}, Holds::kWeights, view);
}

void WeightBinder::WordEmbeddings(int rows, std::optional<int> narrow, TensorView* view) {
  const bool is_coded = IsCoded(kWordEmbeddings);
  if (!is_coded && !narrow) return Table(kWordEmbeddings, rows, view);
  Parts& parts = parts_.emplace_back();
  const std::vector<int64_t> shape = {rows, narrow.value_or(hidden_)};
  if (is_coded) {
    TakeCodes(&temporary_, kWordEmbeddings, shape, &parts.codes, &parts.scales);
  } else {
    Take(&temporary_, absl::StrCat(kWordEmbeddings, ".weight"), shape, Holds::kWeights,
         &parts.codes);
  }
  if (narrow) {
    Take(&temporary_, absl::StrCat(kEmbeddingMap, ".weight"), {hidden_, *narrow}, Holds::kWeights,
         &parts.map.weight);
    Take(&temporary_, absl::StrCat(kEmbeddingMap, ".bias"), {hidden_}, Holds::kWeights,
         &parts.map.bias);
  }
  Convert(rows, hidden_, [&parts, view](TensorPool* pool) {
    TensorPool scratch;
    const bool is_narrow = !parts.map.weight.empty();
    TensorView table = parts.codes;
    if (!parts.scales.empty()) {
      table = Dequantize(table, parts.scales, is_narrow ? &scratch : pool);
    }
    *view = is_narrow ? FoldEmbeddings(table, parts.map.weight, parts.map.bias, pool) : table;
    return absl::OkStatus();
  });
}

void WeightBinder::Linear(const std::string& name, int out, int in, LinearWeights* linear) {
  const std::string weight = name + ".weight";
  const std::string kept = weight + ".compressed";
  if (!index_.contains(kept)) {
    Take(&stored_, weight, {out, in}, Holds::kWeights, &linear->weight);
    Take(&stored_, name + ".bias", {out}, Holds::kWeights, &linear->bias);
    return;
  }
  Take(&stored_, name + ".bias", {out}, Holds::kWeights, &linear->bias);
  BitmaskMatrix& matrix = parts_.emplace_back().matrix;
  Take(&temporary_, kept, {Length(kept)}, Holds::kKept, &matrix.values);
  Take(&temporary_, weight + ".bitmask", {out, (in + 7) / 8}, Holds::kMask, &matrix.mask);
  Take(&temporary_, weight + ".shape", {2}, Holds::kShape, &matrix.shape);
  num_parameters_ += int64_t{out} * in;
  Convert(out, in, [&matrix, linear, weight, out, in](TensorPool* pool) {
    TAILOR_ASSIGN_OR_RETURN(linear->weight, Decompress(matrix, out, in, weight, pool));
    return absl::OkStatus();
  });
}

void WeightBinder::Product(const std::string& name, int out, int in, LinearWeights* linear) {
  if (!IsCoded(name)) return Linear(name, out, in, linear);
  TakeCodes(&stored_, name, {out, in}, &linear->weight, &linear->weight_scale);
  Take(&stored_, name + ".bias", {out}, Holds::kWeights, &linear->bias);
  const std::string step = name + ".input_scale";
  if (!index_.contains(step)) return;
  TensorView& view = parts_.emplace_back().scales;
  Take(&temporary_, step, {1}, Holds::kScales, &view);
  conversions_.push_back([&view, step, linear](TensorPool* /*pool*/) {
    linear->input_scale = ToF32(view)[0];
    return CheckScales(view, step);
  });
}

void WeightBinder::Norm(const std::string& name, NormWeights* norm) {
  Take(&stored_, name + ".weight", {hidden_}, Holds::kWeights, &norm->gamma);
  Take(&stored_, name + ".bias", {hidden_}, Holds::kWeights, &norm->beta);
}

absl::StatusOr<std::shared_ptr<const void>> WeightBinder::Read(const WeightFiles& files) {
  const auto storage = std::make_shared<Storage>();
  TAILOR_ASSIGN_OR_RETURN(storage->stored, files.Read(stored_));
  TAILOR_ASSIGN_OR_RETURN(const std::shared_ptr<const void> temporary, files.Read(temporary_));
  for (const auto& convert : conversions_) {
    TAILOR_RETURN_IF_ERROR(convert(&storage->converted));
  }
  return std::shared_ptr<const void>(storage);
}

}  // namespace tailor
