// SPDX-License-Identifier: Apache-2.0
#include "engine/model/bind_weights.h"

#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "base/status_macros.h"
#include "engine/model/tensor_names.h"

namespace tailor {
namespace {

constexpr const char* kWeights = "weights: ";

void TakeAttention(const std::string& layer, const LayerShape& shape, int hidden,
                   WeightBinder* binder, AttentionWeights* weights) {
  const int inner = shape.attention_dim();
  binder->Product(layer + "attention.self.query", inner, hidden, &weights->query);
  binder->Product(layer + "attention.self.key", inner, hidden, &weights->key);
  binder->Product(layer + "attention.self.value", inner, hidden, &weights->value);
  binder->Product(layer + "attention.output.dense", hidden, inner, &weights->output);
  binder->Norm(layer + "attention.output.LayerNorm", &weights->norm);
}

void TakeFfn(const std::string& layer, const LayerShape& shape, int hidden, WeightBinder* binder,
             FfnWeights* weights) {
  binder->Product(layer + "intermediate.dense", shape.ffn_dim, hidden, &weights->in);
  binder->Product(layer + "output.dense", hidden, shape.ffn_dim, &weights->out);
  binder->Norm(layer + "output.LayerNorm", &weights->norm);
}

std::string LayerName(int index) { return absl::StrCat("encoder.layer.", index, "."); }

// Replaces references to tensor names by dense indices, in the order of first use; returns the
// layers that hold each of them. Layers that share weights must have one shape.
struct Ties {
  std::vector<int> attention;  // dense index -> layer index of the tensor names
  std::vector<int> ffn;
  std::vector<size_t> attention_owner;  // dense index -> first row of the layer table
  std::vector<size_t> ffn_owner;
};

int DenseIndex(int name, size_t row, std::vector<int>* names, std::vector<size_t>* owners) {
  for (size_t i = 0; i < names->size(); ++i) {
    if ((*names)[i] == name) return static_cast<int>(i);
  }
  names->push_back(name);
  owners->push_back(row);
  return static_cast<int>(names->size()) - 1;
}

absl::StatusOr<Ties> ResolveTies(std::vector<LayerShape>* layers) {
  Ties ties;
  for (size_t row = 0; row < layers->size(); ++row) {
    LayerShape& layer = (*layers)[row];
    layer.attention = DenseIndex(layer.attention, row, &ties.attention, &ties.attention_owner);
    layer.ffn = DenseIndex(layer.ffn, row, &ties.ffn, &ties.ffn_owner);
    const LayerShape& a = (*layers)[ties.attention_owner[static_cast<size_t>(layer.attention)]];
    const LayerShape& f = (*layers)[ties.ffn_owner[static_cast<size_t>(layer.ffn)]];
    if (a.num_heads != layer.num_heads || a.head_dim != layer.head_dim ||
        f.ffn_dim != layer.ffn_dim) {
      return absl::InvalidArgumentError(absl::StrCat(
          "layers[", row, "]: expected the shape of the layer whose weights it shares, got ",
          layer.num_heads, " heads of ", layer.head_dim, " and ffn_dim ", layer.ffn_dim));
    }
  }
  return ties;
}

absl::Status RefuseStrangers(const TensorIndex& index, const WeightBinder& binder,
                             bool reads_pooler) {
  for (const auto& [name, tensor] : index) {
    if (binder.IsTaken(name) || IsHarmlessTensor(name)) continue;
    // Every BERT checkpoint has a pooler; an embedding head does not read it.
    if (!reads_pooler && absl::StartsWith(name, "pooler.")) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        kWeights, tensor->info.name, ": expected only tensors of this model, got this one"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TensorIndex> IndexTensors(const WeightFiles& files) {
  std::vector<std::string> names;
  for (const WeightFiles::Tensor& tensor : files.tensors()) names.push_back(tensor.info.name);
  const auto canonical = CanonicalTensorNames(names);
  if (!canonical.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(kWeights, canonical.status().message()));
  }
  TensorIndex index;
  for (const auto& [name, position] : *canonical) index[name] = &files.tensors()[position];
  return index;
}

absl::StatusOr<BoundWeights> BindWeights(const WeightFiles& files, const TensorIndex& index,
                                         std::optional<int> narrow, BertConfig* config) {
  TAILOR_ASSIGN_OR_RETURN(const Ties ties, ResolveTies(&config->layers));
  BoundWeights bound;
  BertWeights& weights = bound.weights;
  const int hidden = config->hidden;
  WeightBinder binder(index, hidden);
  binder.WordEmbeddings(config->vocab_size, narrow, &weights.word_embeddings);
  binder.Table("embeddings.position_embeddings", config->max_positions,
               &weights.position_embeddings);
  if (config->num_token_types > 0) {
    binder.Table("embeddings.token_type_embeddings", config->num_token_types,
                 &weights.token_type_embeddings);
  }
  binder.Norm("embeddings.LayerNorm", &weights.embedding_norm);
  weights.attention.resize(ties.attention.size());
  for (size_t i = 0; i < ties.attention.size(); ++i) {
    TakeAttention(LayerName(ties.attention[i]), config->layers[ties.attention_owner[i]], hidden,
                  &binder, &weights.attention[i]);
  }
  weights.ffn.resize(ties.ffn.size());
  for (size_t i = 0; i < ties.ffn.size(); ++i) {
    TakeFfn(LayerName(ties.ffn[i]), config->layers[ties.ffn_owner[i]], hidden, &binder,
            &weights.ffn[i]);
  }
  const bool is_classifier = config->head.kind == HeadKind::kClassifier;
  if (is_classifier && config->head.pooler != PoolerActivation::kNone) {
    binder.Linear("pooler.dense", hidden, hidden, &weights.pooler);
  }
  if (is_classifier) {
    binder.Linear("classifier", config->head.num_outputs, hidden, &weights.classifier);
  }
  TAILOR_RETURN_IF_ERROR(binder.status());
  TAILOR_RETURN_IF_ERROR(RefuseStrangers(index, binder, is_classifier));
  TAILOR_ASSIGN_OR_RETURN(bound.storage, binder.Read(files));
  bound.num_parameters = binder.num_parameters();
  bound.weight_bytes = binder.weight_bytes();
  return bound;
}

}  // namespace tailor
