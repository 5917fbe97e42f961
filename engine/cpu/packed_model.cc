// SPDX-License-Identifier: Apache-2.0
#include "engine/cpu/packed_model.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"

namespace tailor {
namespace {

// A matrix on its way from the folder to its product.
struct Unpacked {
  std::vector<float> weight;  // [out, in]
  std::vector<float> bias;    // [out]
};

Unpacked Unpack(const LinearWeights& weights) {
  return {ToF32(weights.weight), ToF32(weights.bias)};
}
PackedNorm Unpack(const NormWeights& weights) {
  return {ToF32(weights.gamma), ToF32(weights.beta)};
}

Unpacked Scaled(Unpacked linear, float factor) {
  for (float& value : linear.weight) value *= factor;
  for (float& value : linear.bias) value *= factor;
  return linear;
}

// One matrix with the outputs of `first`, then those of `second`.
Unpacked Stack(Unpacked first, const Unpacked& second) {
  first.weight.insert(first.weight.end(), second.weight.begin(), second.weight.end());
  first.bias.insert(first.bias.end(), second.bias.begin(), second.bias.end());
  return first;
}

// Outputs [first, first + count) of `linear`.
Unpacked Outputs(const Unpacked& linear, size_t first, size_t count) {
  const size_t in = linear.weight.size() / linear.bias.size();
  const auto row = linear.weight.begin() + static_cast<int64_t>(first * in);
  const auto bias = linear.bias.begin() + static_cast<int64_t>(first);
  return {.weight = {row, row + static_cast<int64_t>(count * in)},
          .bias = {bias, bias + static_cast<int64_t>(count)}};
}

// What inputs [first, first + count) contribute to all outputs.
Unpacked Inputs(const Unpacked& linear, size_t first, size_t count) {
  const size_t in = linear.weight.size() / linear.bias.size();
  Unpacked part = {.weight = {}, .bias = linear.bias};
  part.weight.reserve(count * linear.bias.size());
  for (size_t start = first; start < linear.weight.size(); start += in) {
    const auto row = linear.weight.begin() + static_cast<int64_t>(start);
    part.weight.insert(part.weight.end(), row, row + static_cast<int64_t>(count));
  }
  return part;
}

// Where a product's bias is added: by the product itself, by the kernel that follows it, or by the
// caller of several products that add up.
enum class Bias { kInProduct, kInKernel, kNowhere };

class Packer {
 public:
  Packer(PackedModel& model, ProductLibrary& library) : model_(model), library_(library) {}

  absl::StatusOr<PackedLinear> Pack(const char* name, const Unpacked& linear, Bias bias,
                                    WeightFormat format, bool accumulates = false) {
    const int out = static_cast<int>(linear.bias.size());
    const int in = static_cast<int>(linear.weight.size()) / out;
    PackedLinear packed;
    TAILOR_ASSIGN_OR_RETURN(packed.product, library_.Get({.out = out,
                                                          .in = in,
                                                          .format = format,
                                                          .has_bias = bias == Bias::kInProduct,
                                                          .accumulates = accumulates}));
    TAILOR_ASSIGN_OR_RETURN(packed.matrix, packed.product->Pack(linear.weight, linear.bias));
    if (bias == Bias::kInKernel) packed.bias = linear.bias;
    model_.bytes += packed.matrix.bytes() + packed.bias.size() * sizeof(float);
    model_.scratch_bytes = std::max(model_.scratch_bytes, packed.product->scratch_bytes());
    std::string kernel =
        absl::StrCat(name, " ", out, "x", in, ": ", packed.product->implementation());
    if (std::find(model_.kernels.begin(), model_.kernels.end(), kernel) == model_.kernels.end()) {
      model_.kernels.push_back(std::move(kernel));
    }
    return packed;
  }

  // is_inner, is_last: whether the block serves such layers (tied layers may be both).
  absl::StatusOr<PackedAttention> Pack(const AttentionWeights& weights, int head_dim, bool is_inner,
                                       bool is_last) {
    const Unpacked query =
        Scaled(Unpack(weights.query), 1.0F / std::sqrt(static_cast<float>(head_dim)));
    const Unpacked key_value = Stack(Unpack(weights.key), Unpack(weights.value));
    PackedAttention packed;
    if (is_inner) {
      TAILOR_ASSIGN_OR_RETURN(packed.query_key_value,
                              Pack("attention.query_key_value", Stack(query, key_value),
                                   Bias::kInProduct, model_.format));
    }
    if (is_last) {
      TAILOR_ASSIGN_OR_RETURN(packed.query,
                              Pack("attention.query", query, Bias::kInProduct, model_.format));
      TAILOR_ASSIGN_OR_RETURN(packed.key_value, Pack("attention.key_value", key_value,
                                                     Bias::kInProduct, model_.format));
    }
    TAILOR_ASSIGN_OR_RETURN(packed.output, Pack("attention.output", Unpack(weights.output),
                                                Bias::kInKernel, model_.format));
    packed.norm = Unpack(weights.norm);
    return packed;
  }

  absl::StatusOr<PackedFfn> Pack(const FfnWeights& weights) {
    const Unpacked in = Unpack(weights.in);
    Unpacked out = Unpack(weights.out);
    PackedFfn packed;
    packed.norm = Unpack(weights.norm);
    const size_t neurons = in.bias.size();
    for (size_t first = 0; first < neurons; first += kFfnPanel) {
      const size_t count = std::min<size_t>(kFfnPanel, neurons - first);
      PackedFfnPanel& panel = packed.panels.emplace_back();
      TAILOR_ASSIGN_OR_RETURN(
          panel.in, Pack("ffn.in", Outputs(in, first, count), Bias::kInKernel, model_.format));
      TAILOR_ASSIGN_OR_RETURN(panel.out, Pack("ffn.out", Inputs(out, first, count), Bias::kNowhere,
                                              model_.format, first > 0));
      packed.bytes += panel.in.matrix.bytes() + panel.out.matrix.bytes();
    }
    packed.bias = std::move(out.bias);
    return packed;
  }

 private:
  PackedModel& model_;
  ProductLibrary& library_;
};

KernelActivation ToKernel(HiddenActivation activation) {
  switch (activation) {
    case HiddenActivation::kGeluErf:
      return KernelActivation::kGeluErf;
    case HiddenActivation::kGeluTanh:
      return KernelActivation::kGeluTanh;
    case HiddenActivation::kRelu:
      return KernelActivation::kRelu;
  }
  return KernelActivation::kGeluErf;
}

absl::Status PackLayers(const ModelPackage& package, PackedModel& model, Packer& packer) {
  const std::vector<LayerShape>& layers = package.config.layers;
  if (layers.empty()) return absl::InvalidArgumentError("layers: expected at least 1, got 0");
  for (size_t i = 0; i < package.weights.attention.size(); ++i) {
    int head_dim = 0;
    bool is_inner = false;
    bool is_last = false;
    for (size_t layer = 0; layer < layers.size(); ++layer) {
      if (layers[layer].attention != static_cast<int>(i)) continue;
      head_dim = layers[layer].head_dim;
      const bool is_tail = model.reads_first_rows && layer + 1 == layers.size();
      (is_tail ? is_last : is_inner) = true;
    }
    PackedAttention& packed = model.attention.emplace_back();
    if (head_dim == 0) continue;  // no layer refers to it
    TAILOR_ASSIGN_OR_RETURN(packed,
                            packer.Pack(package.weights.attention[i], head_dim, is_inner, is_last));
  }
  for (const FfnWeights& weights : package.weights.ffn) {
    TAILOR_ASSIGN_OR_RETURN(PackedFfn packed, packer.Pack(weights));
    model.ffn.push_back(std::move(packed));
  }
  return absl::OkStatus();
}

template <typename Get>
int Largest(const std::vector<LayerShape>& layers, const Get& get) {
  int largest = 0;
  for (const LayerShape& layer : layers) largest = std::max(largest, get(layer));
  return largest;
}

}  // namespace

int PackedModel::max_attention_dim() const {
  return Largest(config.layers, [](const LayerShape& l) { return l.attention_dim(); });
}
int PackedModel::max_head_dim() const {
  return Largest(config.layers, [](const LayerShape& l) { return l.head_dim; });
}
int PackedModel::max_ffn_panel() const {
  return Largest(config.layers, [](const LayerShape& l) { return std::min(l.ffn_dim, kFfnPanel); });
}

absl::StatusOr<PackedModel> PackModel(const ModelPackage& package, ProductLibrary& library) {
  const BertWeights& weights = package.weights;
  const HeadConfig& head = package.config.head;
  PackedModel model;
  model.config = package.config;
  model.format = package.format;
  model.activation = ToKernel(package.config.activation);
  model.reads_first_rows = head.kind == HeadKind::kClassifier || head.pooling == Pooling::kCls;
  model.word_embeddings = ToF32(weights.word_embeddings);
  model.position_embeddings = ToF32(weights.position_embeddings);
  model.token_type_embeddings = ToF32(weights.token_type_embeddings);
  model.embedding_norm = Unpack(weights.embedding_norm);
  model.classifier_weight = ToF32(weights.classifier.weight);
  model.classifier_bias = ToF32(weights.classifier.bias);
  model.bytes = sizeof(float) * (model.word_embeddings.size() + model.position_embeddings.size() +
                                 model.token_type_embeddings.size() +
                                 model.classifier_weight.size() + model.classifier_bias.size());
  Packer packer(model, library);
  TAILOR_RETURN_IF_ERROR(PackLayers(package, model, packer));
  if (head.kind == HeadKind::kClassifier && head.pooler != PoolerActivation::kNone) {
    // The head is f32 in every format.
    TAILOR_ASSIGN_OR_RETURN(model.pooler, packer.Pack("pooler", Unpack(weights.pooler),
                                                      Bias::kInKernel, WeightFormat::kF32));
  }
  return model;
}

}  // namespace tailor
