// SPDX-License-Identifier: Apache-2.0
#include "engine/model/hf_config.h"

#include <algorithm>
#include <array>
#include <set>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

#include "engine/model/json_fields.h"

namespace tailor {
namespace {

using nlohmann::json;

constexpr int kMaxWidth = 1 << 20;
constexpr int kMaxLayers = 1024;
constexpr int kMaxLabels = 4096;
constexpr int kMinTokens = 4;  // [CLS] [SEP] [SEP] and one of text

// Where the two architectures spell the same thing differently.
struct Keys {
  const char* hidden;
  const char* num_layers;
  const char* num_heads;
  const char* ffn_dim;
  const char* activation;
};
constexpr Keys kBertKeys = {"hidden_size", "num_hidden_layers", "num_attention_heads",
                            "intermediate_size", "hidden_act"};
constexpr Keys kDistilBertKeys = {"dim", "n_layers", "n_heads", "hidden_dim", "activation"};

Architecture ReadArchitecture(const JsonFields& fields) {
  return fields
      .OneOf<Architecture>(
          "model_type", {{"bert", Architecture::kBert}, {"distilbert", Architecture::kDistilBert}})
      .value_or(Architecture::kBert);
}

// True when the model has a sequence classifier.
bool ReadHead(const JsonFields& fields) {
  const json* architectures = fields.Array("architectures", 8);
  if (architectures == nullptr || architectures->empty()) return false;
  const json& first = (*architectures)[0];
  const std::string name = first.is_string() ? first.get<std::string>() : "";
  for (const absl::string_view prefix : {"Bert", "DistilBert"}) {
    if (name == absl::StrCat(prefix, "ForSequenceClassification")) return true;
    for (const absl::string_view head : {"Model", "ForMaskedLM", "ForPreTraining"}) {
      if (name == absl::StrCat(prefix, head)) return false;
    }
  }
  if (fields.problem()->ok()) {
    *fields.problem() = absl::InvalidArgumentError(absl::StrCat(
        fields.Where("architectures"),
        ": expected (Distil)BertForSequenceClassification, ...Model, ...ForMaskedLM or "
        "...ForPreTraining, got ",
        ShortJson(first)));
  }
  return false;
}

void RefuseUnsupported(const JsonFields& fields) {
  fields.OneOf<int>("position_embedding_type", {{"absolute", 0}});
  for (const char* key : {"is_decoder", "add_cross_attention"}) {
    if (fields.Bool(key).value_or(false)) fields.FailExpected(key, "false");
  }
  if (fields.Has("quantization_config")) {
    fields.FailExpected("quantization_config", "plain f32, f16 or bf16 tensors");
  }
}

int ReadRequiredInt(const JsonFields& fields, const char* key, int high, int low = 1) {
  fields.Require(key);
  return fields.Int(key, low, high).value_or(low);
}

// Heads that Hugging Face's prune_heads has removed, by layer.
std::vector<int> ReadPrunedHeads(const JsonFields& fields, int num_layers, int num_heads) {
  std::vector<int> pruned(static_cast<size_t>(num_layers), 0);
  const json* object = fields.Object("pruned_heads");
  if (object == nullptr) return pruned;
  for (const auto& [key, heads] : object->items()) {
    int layer = -1;
    std::set<json> distinct;
    if (heads.is_array()) distinct.insert(heads.begin(), heads.end());
    if (!absl::SimpleAtoi(key, &layer) || layer < 0 || layer >= num_layers ||
        static_cast<int>(distinct.size()) >= num_heads) {
      fields.FailExpected("pruned_heads", "layer -> list of fewer heads than the layer has");
      return pruned;
    }
    pruned[static_cast<size_t>(layer)] = static_cast<int>(distinct.size());
  }
  return pruned;
}

std::vector<LayerShape> ReadLayers(const JsonFields& fields, const Keys& keys, int hidden) {
  const int num_layers = ReadRequiredInt(fields, keys.num_layers, kMaxLayers);
  const int num_heads = ReadRequiredInt(fields, keys.num_heads, kMaxWidth);
  const int ffn_dim = ReadRequiredInt(fields, keys.ffn_dim, kMaxWidth);
  if (hidden % num_heads != 0) {
    fields.FailExpected(keys.num_heads, absl::StrCat("a divisor of ", keys.hidden, " ", hidden));
  }
  const std::vector<int> pruned = ReadPrunedHeads(fields, num_layers, num_heads);
  std::vector<LayerShape> layers;
  layers.reserve(static_cast<size_t>(num_layers));
  for (int i = 0; i < num_layers; ++i) {
    layers.push_back({.num_heads = num_heads - pruned[static_cast<size_t>(i)],
                      .head_dim = hidden / num_heads,
                      .ffn_dim = ffn_dim,
                      .attention = i,
                      .ffn = i});
  }
  return layers;
}

void ReadLabels(const JsonFields& fields, HfConfig* config) {
  config->num_labels = fields.Int("num_labels", 1, kMaxLabels);
  const json* names = fields.Object("id2label");
  if (names == nullptr || names->empty()) return;
  const size_t count = std::min<size_t>(names->size(), kMaxLabels + 1);
  config->labels.resize(count);
  for (size_t i = 0; i < count; ++i) {
    const auto it = names->find(std::to_string(i));
    if (count > kMaxLabels || it == names->end() || !it->is_string()) {
      fields.FailExpected("id2label", "a name for each of \"0\", \"1\", ...");
      return;
    }
    config->labels[i] = it->get<std::string>();
  }
  if (config->num_labels && *config->num_labels != static_cast<int>(count)) {
    fields.FailExpected("num_labels", absl::StrCat("the ", count, " labels of id2label"));
  }
  config->num_labels = static_cast<int>(count);
}

// A Python class path such as "torch.nn.modules.activation.Sigmoid".
std::optional<OutputActivation> ReadActivationClass(const JsonFields& fields,
                                                    absl::string_view key) {
  const std::optional<std::string> path = fields.String(key);
  if (!path) return std::nullopt;
  const absl::string_view name = absl::string_view(*path).substr(path->rfind('.') + 1);
  if (name == "Identity") return OutputActivation::kNone;
  if (name == "Sigmoid") return OutputActivation::kSigmoid;
  if (name == "Softmax") return OutputActivation::kSoftmax;
  fields.FailExpected(key, "Identity, Sigmoid or Softmax");
  return std::nullopt;
}

void ReadCrossEncoder(const JsonFields& fields, HfConfig* config) {
  config->output_activation = ReadActivationClass(fields, "sbert_ce_default_activation_function");
  if (const json* section = fields.Object("sentence_transformers")) {
    const JsonFields inner(*section, fields.Where("sentence_transformers"), fields.problem());
    if (inner.Has("activation_fn")) {
      config->output_activation = ReadActivationClass(inner, "activation_fn");
    }
  }
}

}  // namespace

absl::StatusOr<HfConfig> ParseHfConfig(const json& value) {
  absl::Status problem;
  const JsonFields fields(value, "config.json", &problem);
  HfConfig config;
  config.architecture = ReadArchitecture(fields);
  const bool is_bert = config.architecture == Architecture::kBert;
  const Keys& keys = is_bert ? kBertKeys : kDistilBertKeys;
  config.expects_classifier = ReadHead(fields);
  RefuseUnsupported(fields);
  config.hidden = ReadRequiredInt(fields, keys.hidden, kMaxWidth);
  config.vocab_size = ReadRequiredInt(fields, "vocab_size", 1 << 24);
  config.max_positions = ReadRequiredInt(fields, "max_position_embeddings", 1 << 20, kMinTokens);
  if (is_bert) {
    config.num_token_types = fields.Int("type_vocab_size", 1, 1024).value_or(2);
    config.layer_norm_eps =
        static_cast<float>(fields.Number("layer_norm_eps", 0, 1).value_or(1e-12));
  }
  config.activation = fields
                          .OneOf<HiddenActivation>(
                              keys.activation, {{"gelu", HiddenActivation::kGeluErf},
                                                {"gelu_new", HiddenActivation::kGeluTanh},
                                                {"gelu_pytorch_tanh", HiddenActivation::kGeluTanh},
                                                {"relu", HiddenActivation::kRelu}})
                          .value_or(HiddenActivation::kGeluErf);
  config.layers = ReadLayers(fields, keys, config.hidden);
  ReadLabels(fields, &config);
  ReadCrossEncoder(fields, &config);
  if (!problem.ok()) return problem;
  return config;
}

}  // namespace tailor
