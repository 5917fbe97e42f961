// SPDX-License-Identifier: Apache-2.0
#include "tests/testing/tiny_model.h"

#include <cmath>
#include <set>

#include "base/check.h"

namespace tailor::testing {
namespace {

using nlohmann::json;

// splitmix64: the standard library's distributions differ between implementations.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  float Uniform(float low, float high) {
    state_ += 0x9E3779B97F4A7C15U;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    z ^= z >> 31;
    return low + (high - low) * static_cast<float>(z >> 40) / 16777216.0F;
  }

 private:
  uint64_t state_;
};

std::vector<LayerShape> LayerTable(const TinyModelOptions& options) {
  if (!options.layers.empty()) return options.layers;
  std::vector<LayerShape> layers;
  for (int i = 0; i < options.num_layers; ++i) {
    layers.push_back({.num_heads = options.num_heads,
                      .head_dim = options.hidden / options.num_heads,
                      .ffn_dim = options.ffn_dim,
                      .attention = i,
                      .ffn = i});
  }
  return layers;
}

std::vector<std::string> Vocabulary(const TinyModelOptions& options) {
  return options.vocabulary.empty() ? TinyVocabulary() : options.vocabulary;
}

// The words that differ between BERT's tensor names and DistilBERT's.
struct Names {
  std::string layers, query, key, value, attention_output, attention_norm, ffn_in, ffn_out,
      ffn_norm, pooler;
};

Names NamesOf(const TinyModelOptions& options) {
  if (options.distilbert) {
    return {"transformer.layer.", "attention.q_lin", "attention.k_lin", "attention.v_lin",
            "attention.out_lin",  "sa_layer_norm",   "ffn.lin1",        "ffn.lin2",
            "output_layer_norm",  "pre_classifier"};
  }
  return {"encoder.layer.",         "attention.self.query",
          "attention.self.key",     "attention.self.value",
          "attention.output.dense", "attention.output.LayerNorm",
          "intermediate.dense",     "output.dense",
          "output.LayerNorm",       options.prefix + "pooler.dense"};
}

class TensorMaker {
 public:
  explicit TensorMaker(const TinyModelOptions& options)
      : options_(options), random_(options.seed) {}

  // Uniform with variance 1 / in, so that outputs are of the order of the inputs.
  void Linear(const std::string& name, int out, int in) {
    const float bound = std::sqrt(3.0F / static_cast<float>(in));
    Add(name + ".weight", {out, in}, -bound, bound);
    Add(name + ".bias", {out}, -0.1F, 0.1F);
  }
  void Norm(const std::string& name) {
    const bool old = options_.gamma_beta_names;
    Add(name + (old ? ".gamma" : ".weight"), {options_.hidden}, 0.8F, 1.2F);
    Add(name + (old ? ".beta" : ".bias"), {options_.hidden}, -0.2F, 0.2F);
  }
  void Table(const std::string& name, int rows) {
    Add(name + ".weight", {rows, options_.hidden}, -1.0F, 1.0F);
  }
  TensorMap Take() { return std::move(tensors_); }

 private:
  void Add(const std::string& name, std::vector<int64_t> shape, float low, float high) {
    size_t count = 1;
    for (const int64_t dim : shape) count *= static_cast<size_t>(dim);
    std::vector<float> values(count);
    for (float& value : values) value = random_.Uniform(low, high);
    tensors_[name] = MakeTensor(options_.dtype, std::move(shape), values);
  }

  const TinyModelOptions& options_;
  Random random_;
  TensorMap tensors_;
};

void AddEncoder(const TinyModelOptions& options, const Names& names, TensorMaker* maker) {
  std::set<int> attention_done;
  std::set<int> ffn_done;
  for (const LayerShape& layer : LayerTable(options)) {
    const std::string layers = options.prefix + names.layers;
    const std::string attention = layers + std::to_string(layer.attention) + ".";
    const std::string ffn = layers + std::to_string(layer.ffn) + ".";
    if (attention_done.insert(layer.attention).second) {
      maker->Linear(attention + names.query, layer.attention_dim(), options.hidden);
      maker->Linear(attention + names.key, layer.attention_dim(), options.hidden);
      maker->Linear(attention + names.value, layer.attention_dim(), options.hidden);
      maker->Linear(attention + names.attention_output, options.hidden, layer.attention_dim());
      maker->Norm(attention + names.attention_norm);
    }
    if (ffn_done.insert(layer.ffn).second) {
      maker->Linear(ffn + names.ffn_in, layer.ffn_dim, options.hidden);
      maker->Linear(ffn + names.ffn_out, options.hidden, layer.ffn_dim);
      maker->Norm(ffn + names.ffn_norm);
    }
  }
}

json QualityJson(const Quality& quality) {
  return {{"dataset_id", quality.dataset_id},
          {"n", quality.num_queries},
          {"ndcg10", quality.ndcg10},
          {"ci95", {quality.ci_low, quality.ci_high}}};
}

json ModuleEntry(int index, const std::string& path, const std::string& type) {
  return {{"idx", index},
          {"name", std::to_string(index)},
          {"path", path},
          {"type", "sentence_transformers.models." + type}};
}

void WriteEmbeddingModules(const std::filesystem::path& folder, int hidden) {
  const json modules = {ModuleEntry(0, "", "Transformer"), ModuleEntry(1, "1_Pooling", "Pooling"),
                        ModuleEntry(2, "2_Normalize", "Normalize")};
  WriteFile(folder / "modules.json", modules.dump(2));
  const json pooling = {{"word_embedding_dimension", hidden},
                        {"pooling_mode_cls_token", false},
                        {"pooling_mode_mean_tokens", true}};
  WriteFile(folder / "1_Pooling" / "config.json", pooling.dump(2));
}

}  // namespace

std::vector<std::string> TinyVocabulary() {
  std::vector<std::string> vocabulary = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
  const std::string characters = "abcdefghijklmnopqrstuvwxyz0123456789";
  for (const char c : characters) vocabulary.emplace_back(1, c);
  for (const char c : characters) vocabulary.push_back(std::string("##") + c);
  for (const char c : std::string(".,;:!?-'\"()/")) vocabulary.emplace_back(1, c);
  for (const char* word : {"the", "fast", "search", "engine", "tool", "library", "text", "image",
                           "viewer", "for", "and", "of", "to", "##er", "##ing"}) {
    vocabulary.emplace_back(word);
  }
  return vocabulary;
}

TensorMap TinyTensors(const TinyModelOptions& options) {
  const Names names = NamesOf(options);
  TensorMaker maker(options);
  const std::string embeddings = options.prefix + "embeddings.";
  maker.Table(embeddings + "word_embeddings", static_cast<int>(Vocabulary(options).size()));
  maker.Table(embeddings + "position_embeddings", options.max_positions);
  if (!options.distilbert) {
    maker.Table(embeddings + "token_type_embeddings", options.num_token_types);
  }
  maker.Norm(embeddings + "LayerNorm");
  AddEncoder(options, names, &maker);
  if (options.num_labels > 0) {
    maker.Linear(names.pooler, options.hidden, options.hidden);
    maker.Linear("classifier", options.num_labels, options.hidden);
  }
  return maker.Take();
}

json TinyConfig(const TinyModelOptions& options) {
  const std::string suffix = options.num_labels > 0 ? "ForSequenceClassification" : "Model";
  json config = {{"vocab_size", Vocabulary(options).size()},
                 {"max_position_embeddings", options.max_positions}};
  const size_t num_layers = LayerTable(options).size();
  if (options.distilbert) {
    config.update({{"model_type", "distilbert"},
                   {"architectures", {"DistilBert" + suffix}},
                   {"dim", options.hidden},
                   {"n_heads", options.num_heads},
                   {"n_layers", num_layers},
                   {"hidden_dim", options.ffn_dim},
                   {"activation", options.hidden_act}});
  } else {
    config.update({{"model_type", "bert"},
                   {"architectures", {"Bert" + suffix}},
                   {"hidden_size", options.hidden},
                   {"num_attention_heads", options.num_heads},
                   {"num_hidden_layers", num_layers},
                   {"intermediate_size", options.ffn_dim},
                   {"hidden_act", options.hidden_act},
                   {"layer_norm_eps", 1e-12},
                   {"type_vocab_size", options.num_token_types},
                   {"position_embedding_type", "absolute"}});
  }
  if (options.num_labels > 0) {
    for (int i = 0; i < options.num_labels; ++i) {
      config["id2label"][std::to_string(i)] = "LABEL_" + std::to_string(i);
    }
  }
  return config;
}

json TinyManifest(const TinyModelOptions& options) {
  json manifest = {{"schema_version", 1},
                   {"id", options.id},
                   {"family", options.family},
                   {"license", "Apache-2.0"}};
  for (const LayerShape& layer : LayerTable(options)) {
    manifest["layers"].push_back({{"attn", layer.attention},
                                  {"ffn", layer.ffn},
                                  {"heads", layer.num_heads},
                                  {"head_dim", layer.head_dim},
                                  {"ffn_dim", layer.ffn_dim}});
  }
  if (options.num_labels > 0) {
    manifest["task"] = {{"kind", options.num_labels == 1 ? "relevance" : "classification"},
                        {"num_labels", options.num_labels},
                        {"activation", options.num_labels == 1 ? "sigmoid" : "softmax"},
                        {"max_len", options.max_positions}};
  }
  if (options.quality) manifest["quality"] = QualityJson(*options.quality);
  return manifest;
}

void WriteWeights(const std::filesystem::path& folder, const TensorMap& tensors, bool sharded) {
  if (!sharded) {
    WriteFile(folder / "model.safetensors", SerializeSafetensors(tensors));
    return;
  }
  const std::string files[] = {"model-00001-of-00002.safetensors",
                               "model-00002-of-00002.safetensors"};
  TensorMap shards[2];
  json index = {{"metadata", {{"total_size", 0}}}, {"weight_map", json::object()}};
  size_t turn = 0;
  for (const auto& [name, tensor] : tensors) {
    shards[turn % 2][name] = tensor;
    index["weight_map"][name] = files[turn % 2];
    ++turn;
  }
  for (size_t i = 0; i < 2; ++i) WriteFile(folder / files[i], SerializeSafetensors(shards[i]));
  WriteFile(folder / "model.safetensors.index.json", index.dump(2));
}

void WriteTinyModel(const std::filesystem::path& folder, const TinyModelOptions& options) {
  WriteFile(folder / "config.json", TinyConfig(options).dump(2));
  std::string vocabulary;
  for (const std::string& entry : Vocabulary(options)) vocabulary += entry + "\n";
  WriteFile(folder / "vocab.txt", vocabulary);
  WriteFile(folder / "tokenizer_config.json", R"({"do_lower_case": true})");
  WriteWeights(folder, TinyTensors(options), options.sharded);
  if (options.num_labels == 0) WriteEmbeddingModules(folder, options.hidden);
  if (!options.id.empty()) WriteFile(folder / "variant.json", TinyManifest(options).dump(2));
}

void WriteDerivedVariant(const std::filesystem::path& folder, const std::string& id,
                         const std::string& family, const std::string& parent,
                         const std::string& format, std::optional<Quality> quality) {
  json manifest = {{"schema_version", 1},
                   {"id", id},
                   {"family", family},
                   {"derive", {{"parent", parent}, {"format", format}}}};
  if (quality) manifest["quality"] = QualityJson(*quality);
  WriteFile(folder / "variant.json", manifest.dump(2));
}

}  // namespace tailor::testing
