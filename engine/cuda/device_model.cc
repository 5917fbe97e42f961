// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/device_model.h"

#include <algorithm>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "engine/model/product_weights.h"

namespace tailor::cuda {
namespace {

Element ElementOf(WeightFormat format) {
  switch (format) {
    case WeightFormat::kF16:
      return Element::kF16;
    case WeightFormat::kBf16:
      return Element::kBf16;
    case WeightFormat::kF32:
    case WeightFormat::kInt8:  // refused before
      break;
  }
  return Element::kF32;
}

Activation ActivationOf(HiddenActivation activation) {
  switch (activation) {
    case HiddenActivation::kGeluErf:
      return Activation::kGeluErf;
    case HiddenActivation::kGeluTanh:
      return Activation::kGeluTanh;
    case HiddenActivation::kRelu:
      return Activation::kRelu;
  }
  return Activation::kGeluErf;
}

absl::Status Check(const ModelPackage& package) {
  if (package.format == WeightFormat::kInt8 || CountInt8(package).int8 > 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(package.id,
                     ": expected f32, f16 or bf16 weights on cuda, got int8; serve it "
                     "with --device=cpu"));
  }
  if (package.config.layers.empty()) {
    return absl::InvalidArgumentError("layers: expected at least 1, got 0");
  }
  for (const LayerShape& layer : package.config.layers) {
    if (layer.head_dim <= kMaxHeadDim) continue;
    return absl::FailedPreconditionError(absl::StrCat(package.id, ": expected heads of at most ",
                                                      kMaxHeadDim, " numbers on cuda, got ",
                                                      layer.head_dim));
  }
  return absl::OkStatus();
}

// Uploads tensors until one cannot be; the first error stays.
class Uploader {
 public:
  Uploader(const ModelPackage& package, DeviceWeights& weights, DeviceModel& model)
      : package_(package), weights_(weights), model_(model) {}

  const absl::Status& status() const { return status_; }

  DeviceFloats Floats(const TensorView& view) {
    if (view.empty() || !status_.ok()) return nullptr;
    return Take(weights_.Floats(package_, view));
  }

  DeviceNorm Norm(const NormWeights& norm) { return {Floats(norm.gamma), Floats(norm.beta)}; }

  DeviceLinear Linear(const char* name, std::span<const TensorView* const> views, Element element) {
    const TensorView& first = *views.front();
    DeviceLinear linear = {.weight = nullptr,
                           .element = element,
                           .out = static_cast<int>(first.dim(0)),
                           .in = static_cast<int>(first.dim(1)),
                           .count = static_cast<int>(views.size())};
    if (linear.out == 0 || linear.in == 0 || !status_.ok()) return linear;
    linear.weight = Take(weights_.Matrices(package_, views, element));
    std::string kernel = absl::StrCat(name, " ", linear.out * linear.count, "x", linear.in,
                                      ": cublasLt ", NameOf(element));
    if (std::find(model_.kernels.begin(), model_.kernels.end(), kernel) == model_.kernels.end()) {
      model_.kernels.push_back(std::move(kernel));
    }
    return linear;
  }
  DeviceLinear Linear(const char* name, const LinearWeights& weights, Element element) {
    const TensorView* const view[] = {&weights.weight};
    return Linear(name, view, element);
  }

  DeviceAttention Attention(const AttentionWeights& weights) {
    const TensorView* const projections[] = {&weights.query.weight, &weights.key.weight,
                                             &weights.value.weight};
    const Element element = model_.element;
    return {.query_key_value = Linear("attention.query_key_value", projections, element),
            .query_bias = Floats(weights.query.bias),
            .key_bias = Floats(weights.key.bias),
            .value_bias = Floats(weights.value.bias),
            .output = Linear("attention.output", weights.output, element),
            .output_bias = Floats(weights.output.bias),
            .norm = Norm(weights.norm)};
  }

  DeviceFfn Ffn(const FfnWeights& weights) {
    return {.in = Linear("ffn.in", weights.in, model_.element),
            .out = Linear("ffn.out", weights.out, model_.element),
            .in_bias = Floats(weights.in.bias),
            .out_bias = Floats(weights.out.bias),
            .norm = Norm(weights.norm)};
  }

 private:
  static const char* NameOf(Element element) {
    return element == Element::kF32 ? "f32" : element == Element::kF16 ? "f16" : "bf16";
  }

  template <typename T>
  T Take(absl::StatusOr<T> value) {
    if (value.ok()) return *std::move(value);
    status_ = std::move(value).status();
    return nullptr;
  }

  const ModelPackage& package_;
  DeviceWeights& weights_;
  DeviceModel& model_;
  absl::Status status_;
};

template <typename Get>
int Largest(const std::vector<LayerShape>& layers, const Get& get) {
  int largest = 0;
  for (const LayerShape& layer : layers) largest = std::max(largest, get(layer));
  return largest;
}

}  // namespace

int DeviceModel::max_attention_dim() const {
  return Largest(config.layers, [](const LayerShape& layer) { return layer.attention_dim(); });
}
int DeviceModel::max_ffn_dim() const {
  return Largest(config.layers, [](const LayerShape& layer) { return layer.ffn_dim; });
}

absl::StatusOr<DeviceModel> UploadModel(const ModelPackage& package, DeviceWeights& weights) {
  TAILOR_RETURN_IF_ERROR(Check(package));
  const size_t bytes_before = weights.allocated_bytes();
  const BertWeights& tensors = package.weights;
  const HeadConfig& head = package.config.head;
  DeviceModel model;
  model.config = package.config;
  model.element = ElementOf(package.format);
  model.activation = ActivationOf(package.config.activation);
  model.reads_first_rows = head.kind == HeadKind::kClassifier || head.pooling == Pooling::kCls;
  Uploader upload(package, weights, model);
  model.word_embeddings = upload.Floats(tensors.word_embeddings);
  model.position_embeddings = upload.Floats(tensors.position_embeddings);
  model.token_type_embeddings = upload.Floats(tensors.token_type_embeddings);
  model.embedding_norm = upload.Norm(tensors.embedding_norm);
  for (const AttentionWeights& block : tensors.attention) {
    model.attention.push_back(upload.Attention(block));
  }
  for (const FfnWeights& block : tensors.ffn) model.ffn.push_back(upload.Ffn(block));
  if (head.kind == HeadKind::kClassifier) {
    if (head.pooler != PoolerActivation::kNone) {
      model.pooler = upload.Linear("pooler", tensors.pooler, Element::kF32);
      model.pooler_bias = upload.Floats(tensors.pooler.bias);
    }
    model.classifier = upload.Linear("classifier", tensors.classifier, Element::kF32);
    model.classifier_bias = upload.Floats(tensors.classifier.bias);
  }
  TAILOR_RETURN_IF_ERROR(upload.status());
  model.bytes = weights.allocated_bytes() - bytes_before;
  return model;
}

}  // namespace tailor::cuda
