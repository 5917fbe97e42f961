// SPDX-License-Identifier: Apache-2.0
#include "engine/model/masks.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "base/status_macros.h"
#include "engine/model/weight_files.h"

namespace tailor {
namespace {

using Factors = std::vector<float>;

// Which columns of a product stay, and the factor of each.
struct Kept {
  std::vector<size_t> indices;
  Factors factors;
};

// Each mask entry stands for `span` neighbouring columns.
Kept KeptColumns(const Factors& mask, size_t span) {
  Kept kept;
  for (size_t i = 0; i < mask.size() * span; ++i) {
    const float factor = mask[i / span];
    if (factor == 0) continue;
    kept.indices.push_back(i);
    kept.factors.push_back(factor);
  }
  return kept;
}

bool AllOnes(const Factors& factors) {
  return std::all_of(factors.begin(), factors.end(), [](float f) { return f == 1; });
}

int KeptCount(const Factors& mask) {
  return static_cast<int>(
      std::count_if(mask.begin(), mask.end(), [](float factor) { return factor != 0; }));
}

TensorView GatherRows(const TensorView& view, const Kept& kept, TensorPool* pool) {
  if (view.empty()) return view;
  std::vector<int64_t> shape = view.shape;
  shape[0] = static_cast<int64_t>(kept.indices.size());
  auto [result, bytes] = pool->Add(view.dtype, std::move(shape));
  const size_t row_bytes = view.row_elements() * ByteSize(view.dtype);
  for (size_t i = 0; i < kept.indices.size(); ++i) {
    std::memcpy(bytes.data() + i * row_bytes, view.row(kept.indices[i]), row_bytes);
  }
  return std::move(result);
}

LinearWeights KeepOutputs(const LinearWeights& linear, const Kept& kept, TensorPool* pool) {
  LinearWeights part = linear;
  part.weight = GatherRows(linear.weight, kept, pool);
  part.bias = GatherRows(linear.bias, kept, pool);
  part.weight_scale = GatherRows(linear.weight_scale, kept, pool);
  return part;
}

// Columns as they are stored.
TensorView GatherColumns(const TensorView& view, const Kept& kept, TensorPool* pool) {
  const auto columns = static_cast<int64_t>(kept.indices.size());
  auto [result, bytes] = pool->Add(view.dtype, {view.dim(0), columns});
  const size_t element = ByteSize(view.dtype);
  std::byte* out = bytes.data();
  for (size_t row = 0; row < static_cast<size_t>(view.dim(0)); ++row) {
    for (const size_t column : kept.indices) {
      std::memcpy(out, view.row(row) + column * element, element);
      out += element;
    }
  }
  return std::move(result);
}

// Columns times their factors.
TensorView ScaleColumns(const TensorView& view, const Kept& kept, TensorPool* pool) {
  const std::vector<float> values = ToF32(view);
  const size_t columns = view.row_elements();
  std::vector<float> scaled;
  for (size_t start = 0; start < values.size(); start += columns) {
    for (size_t i = 0; i < kept.indices.size(); ++i) {
      scaled.push_back(values[start + kept.indices[i]] * kept.factors[i]);
    }
  }
  return pool->Add(scaled, {view.dim(0), static_cast<int64_t>(kept.indices.size())});
}

absl::StatusOr<LinearWeights> KeepInputs(const LinearWeights& linear, const Kept& kept,
                                         TensorPool* pool) {
  LinearWeights part = linear;
  if (AllOnes(kept.factors)) {
    part.weight = GatherColumns(linear.weight, kept, pool);
    return part;
  }
  if (!IsFloat(linear.weight.dtype)) {
    return absl::InvalidArgumentError(
        "variant.json: derive.masks: expected only 0 and 1 for a parent with int8 weights, got "
        "another factor");
  }
  part.weight = ScaleColumns(linear.weight, kept, pool);
  return part;
}

absl::StatusOr<AttentionWeights> Cut(const AttentionWeights& whole, const Kept& kept,
                                     TensorPool* pool) {
  TAILOR_ASSIGN_OR_RETURN(LinearWeights output, KeepInputs(whole.output, kept, pool));
  return AttentionWeights{.query = KeepOutputs(whole.query, kept, pool),
                          .key = KeepOutputs(whole.key, kept, pool),
                          .value = KeepOutputs(whole.value, kept, pool),
                          .output = std::move(output),
                          .norm = whole.norm};
}

absl::StatusOr<FfnWeights> Cut(const FfnWeights& whole, const Kept& kept, TensorPool* pool) {
  TAILOR_ASSIGN_OR_RETURN(LinearWeights out, KeepInputs(whole.out, kept, pool));
  return FfnWeights{
      .in = KeepOutputs(whole.in, kept, pool), .out = std::move(out), .norm = whole.norm};
}

// Appends what `mask` leaves of whole[*index] and points *index there. Layers that share weights
// and whose masks are all ones go on sharing them; other masks separate them.
template <typename Weights>
absl::Status Take(const std::vector<Weights>& whole, const Factors& mask, size_t span, int* index,
                  std::map<int, int>* shared, std::vector<Weights>* cut, TensorPool* pool) {
  const Weights& source = whole[static_cast<size_t>(*index)];
  const int position = static_cast<int>(cut->size());
  if (AllOnes(mask)) {
    const auto [it, is_new] = shared->emplace(*index, position);
    if (is_new) cut->push_back(source);
    *index = it->second;
    return absl::OkStatus();
  }
  TAILOR_ASSIGN_OR_RETURN(Weights part, Cut(source, KeptColumns(mask, span), pool));
  cut->push_back(std::move(part));
  *index = position;
  return absl::OkStatus();
}

// One factor vector a layer, as long as size(layer); the rest of each row must be 0.
template <typename Size>
absl::StatusOr<std::vector<Factors>> ReadFactors(const WeightFiles& files, const std::string& file,
                                                 const std::string& name,
                                                 const std::vector<LayerShape>& layers,
                                                 const Size& size) {
  int widest = 0;
  for (const LayerShape& layer : layers) widest = std::max(widest, size(layer));
  const std::vector<int64_t> shape = {static_cast<int64_t>(layers.size()), widest};
  for (const WeightFiles::Tensor& tensor : files.tensors()) {
    const TensorInfo& info = tensor.info;
    if (info.name != name) continue;
    if (info.dtype != DType::kF32 || info.shape != shape) {
      return absl::InvalidArgumentError(
          absl::StrCat(file, ": ", name, ": expected F32 [", absl::StrJoin(shape, ", "), "], got ",
                       info.dtype_name, " [", absl::StrJoin(info.shape, ", "), "]"));
    }
    TensorView view;
    const WeightFiles::Request request = {.tensor = &tensor, .view = &view};
    TAILOR_ASSIGN_OR_RETURN(const auto storage, files.Read({&request, 1}));
    const Factors all = ToF32(view);
    std::vector<Factors> factors;
    for (size_t row = 0; row < layers.size(); ++row) {
      const auto begin = all.begin() + static_cast<int64_t>(row) * widest;
      const auto end = begin + size(layers[row]);
      factors.emplace_back(begin, end);
      if (std::any_of(end, begin + widest, [](float f) { return f != 0; })) {
        return absl::InvalidArgumentError(absl::StrCat(file, ": ", name, "[", row,
                                                       "]: expected 0 beyond the ",
                                                       size(layers[row]), " of this layer"));
      }
    }
    return factors;
  }
  return absl::InvalidArgumentError(
      absl::StrCat(file, ": ", name, ": expected this tensor, got none"));
}

}  // namespace

absl::StatusOr<Masks> ReadMasks(const ModelFolder& folder, const std::string& name,
                                const BertConfig& config) {
  TAILOR_ASSIGN_OR_RETURN(const WeightFiles files, WeightFiles::OpenFile(folder, name));
  for (const WeightFiles::Tensor& tensor : files.tensors()) {
    if (tensor.info.name == "heads" || tensor.info.name == "neurons") continue;
    return absl::InvalidArgumentError(absl::StrCat(
        name, ": expected only the tensors heads and neurons, got ", tensor.info.name));
  }
  Masks masks;
  TAILOR_ASSIGN_OR_RETURN(masks.heads,
                          ReadFactors(files, name, "heads", config.layers,
                                      [](const LayerShape& l) { return l.num_heads; }));
  TAILOR_ASSIGN_OR_RETURN(masks.neurons,
                          ReadFactors(files, name, "neurons", config.layers,
                                      [](const LayerShape& l) { return l.ffn_dim; }));
  return masks;
}

absl::Status ApplyMasks(const Masks& masks, ModelPackage* package, TensorPool* pool) {
  const BertWeights whole = package->weights;
  BertWeights& weights = package->weights;
  weights.attention.clear();
  weights.ffn.clear();
  std::map<int, int> attention_shared;
  std::map<int, int> ffn_shared;
  for (size_t row = 0; row < package->config.layers.size(); ++row) {
    LayerShape& layer = package->config.layers[row];
    TAILOR_RETURN_IF_ERROR(Take(whole.attention, masks.heads[row],
                                static_cast<size_t>(layer.head_dim), &layer.attention,
                                &attention_shared, &weights.attention, pool));
    TAILOR_RETURN_IF_ERROR(
        Take(whole.ffn, masks.neurons[row], 1, &layer.ffn, &ffn_shared, &weights.ffn, pool));
    layer.num_heads = KeptCount(masks.heads[row]);
    layer.ffn_dim = KeptCount(masks.neurons[row]);
  }
  return absl::OkStatus();
}

}  // namespace tailor
