// SPDX-License-Identifier: Apache-2.0
#include "engine/model/sub_network.h"

#include <cmath>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace tailor {
namespace {

constexpr const char* kElastic = "variant.json: elastic.";
constexpr const char* kSubNetwork = "variant.json: derive.sub_network";

absl::Status Bad(const std::string& text) { return absl::InvalidArgumentError(text); }

// The entry whose share is `wanted`; both were written as the same decimal number.
template <typename Entry>
const Entry* Find(const std::vector<Entry>& entries, double Entry::*share, double wanted) {
  for (const Entry& entry : entries) {
    if (std::abs(entry.*share - wanted) < 1e-9) return &entry;
  }
  return nullptr;
}

template <typename Entry>
absl::Status NoSuch(const char* what, const std::vector<Entry>& entries, double Entry::*share,
                    double wanted, const std::string& parent) {
  const std::string known = absl::StrJoin(entries, ", ", [&](std::string* out, const Entry& entry) {
    absl::StrAppend(out, entry.*share);
  });
  return Bad(absl::StrCat(kSubNetwork, ".", what, ": expected one of ", known, " of \"", parent,
                          "\", got ", wanted));
}

LinearWeights FirstOutputs(const LinearWeights& linear, int64_t count) {
  LinearWeights part = linear;
  part.weight = FirstRows(linear.weight, count);
  part.bias = FirstRows(linear.bias, count);
  if (!linear.weight_scale.empty()) part.weight_scale = FirstRows(linear.weight_scale, count);
  return part;
}

LinearWeights FirstInputs(const LinearWeights& linear, int64_t count) {
  LinearWeights part = linear;
  part.weight = FirstColumns(linear.weight, count);
  return part;
}

AttentionWeights Cut(const AttentionWeights& whole, int64_t width) {
  return {.query = FirstOutputs(whole.query, width),
          .key = FirstOutputs(whole.key, width),
          .value = FirstOutputs(whole.value, width),
          .output = FirstInputs(whole.output, width),
          .norm = whole.norm};
}

FfnWeights Cut(const FfnWeights& whole, int64_t neurons) {
  return {.in = FirstOutputs(whole.in, neurons),
          .out = FirstInputs(whole.out, neurons),
          .norm = whole.norm};
}

// Appends Cut(whole[*index], size) unless an earlier layer already did; tied layers stay tied.
template <typename Weights>
void Take(const std::vector<Weights>& whole, int64_t size, int* index, std::map<int, int>* taken,
          std::vector<Weights>* cut) {
  const auto [it, is_new] = taken->emplace(*index, static_cast<int>(cut->size()));
  if (is_new) cut->push_back(Cut(whole[static_cast<size_t>(*index)], size));
  *index = it->second;
}

void Count(const TensorView& view, EncoderSize* size) {
  if (view.empty()) return;
  const auto count = static_cast<int64_t>(view.num_elements());
  size->parameters += count;
  size->bytes += count * static_cast<int64_t>(ByteSize(view.dtype));
}

void Count(const LinearWeights& linear, EncoderSize* size) {
  Count(linear.weight, size);
  Count(linear.bias, size);
}

void Count(const NormWeights& norm, EncoderSize* size) {
  Count(norm.gamma, size);
  Count(norm.beta, size);
}

}  // namespace

absl::Status CheckElastic(const Elastic& elastic, const BertConfig& config) {
  for (const LayerShape& layer : config.layers) {
    for (const Elastic::Width& width : elastic.widths) {
      if (width.num_heads > layer.num_heads || width.ffn_dim > layer.ffn_dim) {
        return Bad(absl::StrCat(kElastic, "widths: expected at most the ", layer.num_heads,
                                " heads and ffn_dim ", layer.ffn_dim, " of every layer, got ",
                                width.num_heads, " and ", width.ffn_dim));
      }
    }
  }
  for (const Elastic::Depth& depth : elastic.depths) {
    if (depth.layers.back() >= static_cast<int>(config.layers.size())) {
      return Bad(absl::StrCat(kElastic, "depths: expected layers below ", config.layers.size(),
                              ", got ", depth.layers.back()));
    }
  }
  return absl::OkStatus();
}

absl::Status CutSubNetwork(const SubNetwork& name, ModelPackage* package) {
  if (!package->elastic) {
    return Bad(absl::StrCat(kSubNetwork, ": expected a parent with \"elastic\", got \"",
                            package->id, "\" without it"));
  }
  const Elastic& elastic = *package->elastic;
  const auto* width = Find(elastic.widths, &Elastic::Width::width, name.width);
  if (width == nullptr) {
    return NoSuch("width", elastic.widths, &Elastic::Width::width, name.width, package->id);
  }
  const auto* depth = Find(elastic.depths, &Elastic::Depth::depth, name.depth);
  if (depth == nullptr) {
    return NoSuch("depth", elastic.depths, &Elastic::Depth::depth, name.depth, package->id);
  }
  const BertWeights whole = package->weights;
  BertWeights& weights = package->weights;
  weights.attention.clear();
  weights.ffn.clear();
  std::map<int, int> attention_taken;
  std::map<int, int> ffn_taken;
  std::vector<LayerShape> layers;
  for (const int row : depth->layers) {
    LayerShape& layer = layers.emplace_back(package->config.layers[static_cast<size_t>(row)]);
    layer.num_heads = width->num_heads;
    layer.ffn_dim = width->ffn_dim;
    Take(whole.attention, layer.attention_dim(), &layer.attention, &attention_taken,
         &weights.attention);
    Take(whole.ffn, layer.ffn_dim, &layer.ffn, &ffn_taken, &weights.ffn);
  }
  package->config.layers = std::move(layers);
  return absl::OkStatus();
}

EncoderSize SizeOf(const BertWeights& weights) {
  EncoderSize size;
  for (const LinearWeights* linear : EncoderProducts(weights)) Count(*linear, &size);
  for (const AttentionWeights& a : weights.attention) Count(a.norm, &size);
  for (const FfnWeights& f : weights.ffn) Count(f.norm, &size);
  return size;
}

}  // namespace tailor
