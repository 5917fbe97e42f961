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

std::vector<float> Times(std::vector<float> values, float factor) {
  for (float& value : values) value *= factor;
  return values;
}

// Where a product's bias is added: by the product itself, by the kernel that follows it, or by the
// caller of several products that add up.
enum class Bias { kInProduct, kInKernel, kNowhere };

// A product of the model, its weights and bias times a factor.
struct Part {
  const LinearWeights* weights = nullptr;
  float factor = 1;

  int out() const { return static_cast<int>(weights->weight.dim(0)); }
  int in() const { return static_cast<int>(weights->weight.dim(1)); }
};

size_t TileValueBytes(TileType type) {
  switch (type) {
    case TileType::kNone:
      return 0;
    case TileType::kBf16:
    case TileType::kF16:
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
         WeightStore& store, PackedModel& model)
      : package_(package),
        library_(library),
        kernels_(kernels),
        store_(store),
        model_(model),
        has_codes_(CountInt8(package).int8 > 0),
        float_type_(FloatType(package.format, kernels)) {}

  // is_inner, is_last: whether the block serves such layers (tied layers may be both).
  absl::StatusOr<PackedAttention> Pack(const AttentionWeights& weights, int head_dim, bool is_inner,
                                       bool is_last) {
    const Part projections[] = {{&weights.query, 1.0F / std::sqrt(static_cast<float>(head_dim))},
                                {&weights.key},
                                {&weights.value}};
    const std::span<const Part> all = projections;
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
    packed.is_half =
        (!is_inner || packed.query_key_value.step->gives_half()) &&
        (!is_last || (packed.query.step->gives_half() && packed.key_value.step->gives_half()));
    if (packed.is_half) {
      const bool is_bf16 = kernels_.half == TileType::kBf16;
      Report(absl::StrCat("attention: own:", is_bf16 ? "amx_bf16" : "avx512_fp16"));
    }
    packed.input = is_inner ? packed.query_key_value.step->input() : packed.key_value.step->input();
    TAILOR_ASSIGN_OR_RETURN(packed.output,
                            Pack("attention.output", {&weights.output}, Bias::kInKernel));
    const StepInput read = packed.output.step->input();
    if (packed.is_half && IsHalf(read.type) && head_dim % 16 == 0) packed.context = read;
    packed.norm = Unpack(weights.norm);
    return packed;
  }

  absl::StatusOr<PackedFfn> Pack(const FfnWeights& weights) {
    const Part in = {&weights.in};
    const Part out = {&weights.out};
    PackedFfn packed;
    packed.norm = Unpack(weights.norm);
    if (IsCodes(in) || IsCodes(out) || in.out() == 0 || float_type_ != TileType::kNone) {
      // One panel: the codes of an inner row need its largest value, and integer sums are exact
      // only as a whole; own products do not need panels.
      PackedFfnPanel& panel = packed.panels.emplace_back();
      TAILOR_ASSIGN_OR_RETURN(panel.in, Pack("ffn.in", in, Bias::kInKernel, model_.activation));
      TAILOR_ASSIGN_OR_RETURN(panel.out, Pack("ffn.out", out, Bias::kNowhere));
    } else {
      TAILOR_RETURN_IF_ERROR(AddPanels(Unpacked(in), Unpacked(out), packed));
    }
    for (const PackedFfnPanel& panel : packed.panels) {
      packed.bytes += panel.in.step->bytes() + panel.out.step->bytes();
    }
    packed.input = packed.panels.front().in.step->input();
    packed.bias = ToF32(weights.out.bias);
    return packed;
  }

  // The head is f32 in every format.
  absl::StatusOr<PackedLinear> PackPooler(const LinearWeights& weights) {
    PackedLinear packed;
    if (kernels_.Has(TileType::kSplitBf16) && !has_codes_) {
      const auto in = static_cast<int>(weights.weight.dim(1));
      std::vector<TileSegment> segments(1);
      segments[0] = {
          .panels = store_.Panels(package_, weights.weight, TileType::kSplitBf16, 1, true),
          .out = static_cast<int>(weights.weight.dim(0)),
          .scale = {},
          .bias = {}};
      packed.step = MakeTileStep(kernels_, in, 0, std::move(segments), {});
    } else {
      TAILOR_ASSIGN_OR_RETURN(packed.step, MakeOneDnnStep(Unpack(weights), Bias::kInKernel));
    }
    packed.bias = ToF32(weights.bias);
    Record("pooler", packed);
    return packed;
  }

 private:
  bool IsCodes(const Part& part) const { return IsInt8(package_, *part.weights); }

  UnpackedLinear Unpacked(const Part& part) const {
    return Scaled(UnpackProduct(package_, *part.weights), part.factor);
  }

  // What float products compute with; kNone: oneDNN's f32.
  static TileType FloatType(WeightFormat format, const KernelSet& kernels) {
    if (format == WeightFormat::kBf16) return TileType::kBf16;
    if (format == WeightFormat::kF16 && kernels.Has(TileType::kF16)) return TileType::kF16;
    return kernels.Has(TileType::kSplitBf16) ? TileType::kSplitBf16 : TileType::kNone;
  }

  // Beside codes, f32 is not split nor f16 multiplied as such: the noise would flip too many of
  // them (numerics.md).
  bool UsesTiles(const Part& part) const {
    if (IsCodes(part)) return kernels_.Has(TileType::kInt8);
    return float_type_ != TileType::kNone && (!has_codes_ || float_type_ == TileType::kBf16);
  }

  // Panels of kFfnPanel inner neurons, by oneDNN in f32.
  absl::Status AddPanels(const UnpackedLinear& in, const UnpackedLinear& out, PackedFfn& packed) {
    for (int first = 0; first < in.out; first += kFfnPanel) {
      const int count = std::min(kFfnPanel, in.out - first);
      const UnpackedLinear inner = Outputs(in, first, count);
      PackedFfnPanel& panel = packed.panels.emplace_back();
      TAILOR_ASSIGN_OR_RETURN(panel.in.step, MakeOneDnnStep(inner, Bias::kInKernel));
      panel.in.bias = inner.bias;
      Record("ffn.in", panel.in);
      TAILOR_ASSIGN_OR_RETURN(panel.out.step,
                              MakeOneDnnStep(Inputs(out, first, count), Bias::kNowhere, first > 0));
      Record("ffn.out", panel.out);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<PackedLinear> Pack(const char* name, const Part& part, Bias bias,
                                    std::optional<KernelActivation> activation = {}) {
    PackedLinear packed;
    TAILOR_ASSIGN_OR_RETURN(packed.step, MakeStep({&part, 1}, bias, activation));
    if (bias == Bias::kInKernel && !packed.step->activates()) {
      packed.bias = ToF32(part.weights->bias);
    }
    Record(name, packed);
    return packed;
  }

  // The outputs of all `parts`, which have the same inputs, in one step.
  absl::StatusOr<PackedLinear> PackParts(const char* name, std::span<const Part> parts, Bias bias) {
    std::vector<std::unique_ptr<LinearStep>> steps;
    for (size_t first = 0, end = 0; first < parts.size(); first = end) {
      while (end < parts.size() && AreAlike(parts[first], parts[end])) ++end;
      TAILOR_ASSIGN_OR_RETURN(steps.emplace_back(),
                              MakeStep(parts.subspan(first, end - first), bias, {}));
    }
    PackedLinear packed;
    packed.step = steps.size() == 1 ? std::move(steps.front()) : MakeStackedStep(std::move(steps));
    Record(name, packed);
    return packed;
  }

  // Whether one step can compute both: the same format and the same codes of the inputs.
  bool AreAlike(const Part& a, const Part& b) const {
    return IsCodes(a) == IsCodes(b) && a.weights->input_scale == b.weights->input_scale;
  }

  // activation: applied by the step if it can, and then its bias is added too.
  absl::StatusOr<std::unique_ptr<LinearStep>> MakeStep(std::span<const Part> parts, Bias bias,
                                                       std::optional<KernelActivation> activation) {
    int out = 0;
    for (const Part& part : parts) out += part.out();
    const int in = parts.front().in();
    if (out == 0 || in == 0) return MakeEmptyStep(out, in);
    if (UsesTiles(parts.front())) {
      std::vector<TileSegment> segments;
      for (const Part& part : parts) {
        segments.push_back(SegmentOf(part, bias == Bias::kInProduct || activation.has_value()));
      }
      const float input_scale = IsCodes(parts.front()) ? parts.front().weights->input_scale : 0;
      return MakeTileStep(kernels_, in, input_scale, std::move(segments), activation);
    }
    UnpackedLinear linear = Unpacked(parts.front());
    for (const Part& part : parts.subspan(1)) linear = Stack(std::move(linear), Unpacked(part));
    return MakeOneDnnStep(linear, bias);
  }

  TileSegment SegmentOf(const Part& part, bool adds_bias) {
    const LinearWeights& weights = *part.weights;
    TileSegment segment{.panels = nullptr, .out = part.out(), .scale = {}, .bias = {}};
    if (adds_bias) segment.bias = Times(ToF32(weights.bias), part.factor);
    if (!IsFloat(weights.weight.dtype)) {
      segment.panels = store_.Panels(package_, weights.weight, TileType::kInt8, 1, false);
      segment.scale = Times(ToF32(weights.weight_scale), part.factor);
    } else if (IsCodes(part)) {
      // Codes are of the rows as they are here, so that no other width has the same.
      UnpackedLinear linear = Unpacked(part);
      segment.panels = std::make_shared<TilePanels>(PackCodes(linear.codes, linear.out, linear.in));
      segment.scale = std::move(linear.scale);
    } else {
      segment.panels = store_.Panels(package_, weights.weight, float_type_, part.factor, false);
    }
    return segment;
  }

  absl::StatusOr<std::unique_ptr<LinearStep>> MakeOneDnnStep(const UnpackedLinear& linear,
                                                             Bias bias, bool accumulates = false) {
    const bool has_bias = bias == Bias::kInProduct;
    if (linear.is_int8) {
      const Int8Weights int8 = {.codes = linear.codes,
                                .scale = linear.scale,
                                .bias = has_bias ? linear.bias : std::span<const float>(),
                                .input_scale = linear.input_scale};
      return MakeInt8Step(kernels_, int8, linear.in);
    }
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
    Report(absl::StrCat(name, " ", step.out(), "x", step.in(), ": ", step.implementation()));
  }

  void Report(std::string kernel) {
    if (std::find(model_.kernels.begin(), model_.kernels.end(), kernel) == model_.kernels.end()) {
      model_.kernels.push_back(std::move(kernel));
    }
  }

  const ModelPackage& package_;
  ProductLibrary& library_;
  const KernelSet& kernels_;
  WeightStore& store_;
  PackedModel& model_;
  const bool has_codes_;
  const TileType float_type_;
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

int MaxOutputRows(const PackedModel& model) {
  bool has_shares = true;
  size_t largest = 0;  // of a layer's weights
  for (const LayerShape& layer : model.config.layers) {
    const PackedAttention& attention = model.attention[layer.attention];
    const PackedFfn& ffn = model.ffn[layer.ffn];
    size_t bytes = 0;
    const auto add = [&](const PackedLinear& linear) {
      if (linear.step == nullptr) return;
      has_shares = has_shares && linear.step->has_shares();
      bytes += linear.step->bytes();
    };
    for (const PackedLinear* linear :
         {&attention.query_key_value, &attention.query, &attention.key_value, &attention.output}) {
      add(*linear);
    }
    for (const PackedFfnPanel& panel : ffn.panels) {
      add(panel.in);
      add(panel.out);
    }
    largest = std::max(largest, bytes);
  }
  if (!has_shares || largest < kMinSharedBytes) return 0;
  return static_cast<int>(std::min<size_t>(kMaxProductRows, largest / kSharedBytesOfRow));
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
                                      const KernelSet& kernels, WeightStore& store) {
  const size_t reused_before = store.reused_bytes();
  const BertWeights& weights = package.weights;
  const HeadConfig& head = package.config.head;
  PackedModel model;
  model.config = package.config;
  model.activation = ToKernel(package.config.activation);
  model.reads_first_rows = head.kind == HeadKind::kClassifier || head.pooling == Pooling::kCls;
  model.word_embeddings = store.Floats(package, weights.word_embeddings);
  model.position_embeddings = ToF32(weights.position_embeddings);
  model.token_type_embeddings = ToF32(weights.token_type_embeddings);
  model.embedding_norm = Unpack(weights.embedding_norm);
  model.classifier_weight = ToF32(weights.classifier.weight);
  model.classifier_bias = ToF32(weights.classifier.bias);
  model.bytes = sizeof(float) * (model.word_embeddings->size() + model.position_embeddings.size() +
                                 model.token_type_embeddings.size() +
                                 model.classifier_weight.size() + model.classifier_bias.size());
  Packer packer(package, library, kernels, store, model);
  TAILOR_RETURN_IF_ERROR(PackLayers(package, model, packer));
  if (head.kind == HeadKind::kClassifier && head.pooler != PoolerActivation::kNone) {
    TAILOR_ASSIGN_OR_RETURN(model.pooler, packer.PackPooler(weights.pooler));
  }
  model.max_output_rows = MaxOutputRows(model);
  model.bytes -= store.reused_bytes() - reused_before;
  return model;
}

}  // namespace tailor
