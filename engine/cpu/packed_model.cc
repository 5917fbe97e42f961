// SPDX-License-Identifier: Apache-2.0
#include "engine/cpu/packed_model.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "engine/cpu/tile_step.h"
#include "engine/cpu/unpacked_linear.h"
#include "engine/model/product_weights.h"

namespace tailor {
namespace {

PackedNorm Unpack(const NormWeights& weights) {
  return {ToF32(weights.gamma), ToF32(weights.beta)};
}

// Where a product's bias is added: by the product itself, by the kernel that follows it, or by the
// caller of several products that add up.
enum class Bias { kInProduct, kInKernel, kNowhere };

// Those of `linears` that one step can compute, stacked.
std::vector<UnpackedLinear> StackNeighbours(std::span<const UnpackedLinear> linears) {
  std::vector<UnpackedLinear> stacked;
  for (const UnpackedLinear& linear : linears) {
    if (!stacked.empty() && AreStackable(stacked.back(), linear)) {
      stacked.back() = Stack(std::move(stacked.back()), linear);
    } else {
      stacked.push_back(linear);
    }
  }
  return stacked;
}

size_t TileValueBytes(TileType type) {
  switch (type) {
    case TileType::kNone:
      return 0;
    case TileType::kBf16:
      return 2;
    case TileType::kSplitBf16:
      return 4;
    case TileType::kInt8:
      return 1;
  }
  return 0;
}

class Packer {
 public:
  Packer(const ModelPackage& package, ProductLibrary& library, const KernelSet& kernels,
         PackedModel& model)
      : package_(package),
        library_(library),
        kernels_(kernels),
        model_(model),
        has_codes_(CountInt8(package).int8 > 0) {}

  // is_inner, is_last: whether the block serves such layers (tied layers may be both).
  absl::StatusOr<PackedAttention> Pack(const AttentionWeights& weights, int head_dim, bool is_inner,
                                       bool is_last) {
    const UnpackedLinear projections[] = {Scaled(UnpackProduct(package_, weights.query),
                                                 1.0F / std::sqrt(static_cast<float>(head_dim))),
                                          UnpackProduct(package_, weights.key),
                                          UnpackProduct(package_, weights.value)};
    const std::span<const UnpackedLinear> all = projections;
    PackedAttention packed;
    if (is_inner) {
      TAILOR_ASSIGN_OR_RETURN(packed.query_key_value,
                              PackParts("attention.query_key_value", all, Bias::kInProduct));
    }
    if (is_last) {
      TAILOR_ASSIGN_OR_RETURN(packed.query,
                              PackParts("attention.query", all.first(1), Bias::kInProduct));
      TAILOR_ASSIGN_OR_RETURN(packed.key_value,
                              PackParts("attention.key_value", all.subspan(1), Bias::kInProduct));
    }
    packed.input = is_inner ? packed.query_key_value.step->input() : packed.key_value.step->input();
    TAILOR_ASSIGN_OR_RETURN(packed.output,
                            Pack("attention.output", UnpackProduct(package_, weights.output),
                                 FloatType(), Bias::kInKernel));
    packed.norm = Unpack(weights.norm);
    return packed;
  }

  absl::StatusOr<PackedFfn> Pack(const FfnWeights& weights) {
    const UnpackedLinear in = UnpackProduct(package_, weights.in);
    UnpackedLinear out = UnpackProduct(package_, weights.out);
    PackedFfn packed;
    packed.norm = Unpack(weights.norm);
    if (in.is_int8 || out.is_int8 || in.out == 0 || kernels_.has_tiles()) {
      // One panel: the codes of an inner row need its largest value, and integer sums are exact
      // only as a whole; own products do not need panels.
      TAILOR_RETURN_IF_ERROR(AddPanel(in, out, packed));
    } else {
      for (int first = 0; first < in.out; first += kFfnPanel) {
        const int count = std::min(kFfnPanel, in.out - first);
        TAILOR_RETURN_IF_ERROR(
            AddPanel(Outputs(in, first, count), Inputs(out, first, count), packed));
      }
    }
    packed.input = packed.panels.front().in.step->input();
    packed.bias = std::move(out.bias);
    return packed;
  }

  // The head is f32 in every format.
  absl::StatusOr<PackedLinear> PackPooler(const LinearWeights& weights) {
    return Pack("pooler", Unpack(weights), TileType::kSplitBf16, Bias::kInKernel);
  }

 private:
  // Beside codes, f32 is not split: its noise of 1e-6 would flip too many of them (numerics.md).
  bool StaysF32(TileType float_type) const {
    return has_codes_ && float_type == TileType::kSplitBf16;
  }

  // What float products compute with where there are tiles; f32 otherwise.
  TileType FloatType() const {
    return package_.format == WeightFormat::kBf16 ? TileType::kBf16 : TileType::kSplitBf16;
  }

  absl::Status AddPanel(const UnpackedLinear& in, const UnpackedLinear& out, PackedFfn& packed) {
    const bool accumulates = !packed.panels.empty();
    PackedFfnPanel& panel = packed.panels.emplace_back();
    TAILOR_ASSIGN_OR_RETURN(
        panel.in, Pack("ffn.in", in, FloatType(), Bias::kInKernel, false, model_.activation));
    TAILOR_ASSIGN_OR_RETURN(panel.out,
                            Pack("ffn.out", out, FloatType(), Bias::kNowhere, accumulates));
    packed.bytes += panel.in.step->bytes() + panel.out.step->bytes();
    return absl::OkStatus();
  }

  absl::StatusOr<PackedLinear> Pack(const char* name, const UnpackedLinear& linear,
                                    TileType float_type, Bias bias, bool accumulates = false,
                                    std::optional<KernelActivation> activation = {}) {
    PackedLinear packed;
    TAILOR_ASSIGN_OR_RETURN(packed.step,
                            MakeStep(linear, float_type, bias, accumulates, activation));
    if (bias == Bias::kInKernel && !packed.step->activates()) packed.bias = linear.bias;
    Record(name, packed);
    return packed;
  }

  // The outputs of all `parts`, which have the same inputs, in one step.
  absl::StatusOr<PackedLinear> PackParts(const char* name, std::span<const UnpackedLinear> parts,
                                         Bias bias) {
    std::vector<std::unique_ptr<LinearStep>> steps;
    for (const UnpackedLinear& linear : StackNeighbours(parts)) {
      TAILOR_ASSIGN_OR_RETURN(steps.emplace_back(), MakeStep(linear, FloatType(), bias, false, {}));
    }
    PackedLinear packed;
    packed.step = steps.size() == 1 ? std::move(steps.front()) : MakeStackedStep(std::move(steps));
    Record(name, packed);
    return packed;
  }

  // activation: applied by the step if it can, and then its bias is added too.
  absl::StatusOr<std::unique_ptr<LinearStep>> MakeStep(const UnpackedLinear& linear,
                                                       TileType float_type, Bias bias,
                                                       bool accumulates,
                                                       std::optional<KernelActivation> activation) {
    if (linear.out == 0 || linear.in == 0) return MakeEmptyStep(linear.out, linear.in);
    const bool has_bias = bias == Bias::kInProduct;
    Int8Weights int8 = {.codes = linear.codes,
                        .scale = linear.scale,
                        .bias = has_bias ? linear.bias : std::span<const float>(),
                        .input_scale = linear.input_scale};
    if (kernels_.has_tiles() && (linear.is_int8 || !StaysF32(float_type))) {
      const bool adds_bias = has_bias || activation.has_value();
      const StepOutput output = {.bias = adds_bias ? linear.bias : std::span<const float>(),
                                 .activation = activation};
      if (linear.is_int8) return MakeTileStep(kernels_, int8, linear.in, output);
      return MakeTileStep(kernels_, float_type, linear.weight, linear.out, linear.in, output);
    }
    if (linear.is_int8) return MakeInt8Step(library_, kernels_, int8, linear.in);
    return MakeFloatStep(
        library_,
        {.out = linear.out, .in = linear.in, .has_bias = has_bias, .accumulates = accumulates},
        linear.weight, linear.bias);
  }

  // Adds a step to what the model needs and reports.
  void Record(const char* name, const PackedLinear& packed) {
    const LinearStep& step = *packed.step;
    model_.bytes += step.bytes() + packed.bias.size() * sizeof(float);
    model_.scratch_bytes = std::max(model_.scratch_bytes, step.scratch_bytes());
    model_.tile_value_bytes = std::max(model_.tile_value_bytes, TileValueBytes(step.input().type));
    if (step.implementation().empty()) return;
    std::string kernel =
        absl::StrCat(name, " ", step.out(), "x", step.in(), ": ", step.implementation());
    if (std::find(model_.kernels.begin(), model_.kernels.end(), kernel) == model_.kernels.end()) {
      model_.kernels.push_back(std::move(kernel));
    }
  }

  const ModelPackage& package_;
  ProductLibrary& library_;
  const KernelSet& kernels_;
  PackedModel& model_;
  const bool has_codes_;
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
    int head_dim = 1;
    bool is_inner = false;
    bool is_last = false;
    for (size_t layer = 0; layer < layers.size(); ++layer) {
      if (layers[layer].attention != static_cast<int>(i)) continue;
      if (layers[layer].num_heads > 0) head_dim = layers[layer].head_dim;
      const bool is_tail = model.reads_first_rows && layer + 1 == layers.size();
      (is_tail ? is_last : is_inner) = true;
    }
    PackedAttention& packed = model.attention.emplace_back();
    if (!is_inner && !is_last) continue;  // no layer refers to it
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
  int largest = 0;
  for (const PackedFfn& block : ffn) {
    for (const PackedFfnPanel& panel : block.panels) {
      largest = std::max(largest, panel.in.step->out());
    }
  }
  return largest;
}

absl::StatusOr<PackedModel> PackModel(const ModelPackage& package, ProductLibrary& library,
                                      const KernelSet& kernels) {
  const BertWeights& weights = package.weights;
  const HeadConfig& head = package.config.head;
  PackedModel model;
  model.config = package.config;
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
  Packer packer(package, library, kernels, model);
  TAILOR_RETURN_IF_ERROR(PackLayers(package, model, packer));
  if (head.kind == HeadKind::kClassifier && head.pooler != PoolerActivation::kNone) {
    TAILOR_ASSIGN_OR_RETURN(model.pooler, packer.PackPooler(weights.pooler));
  }
  return model;
}

}  // namespace tailor
