// SPDX-License-Identifier: Apache-2.0
// Random tiny BERT folders for tests: same seed, same bytes. Loadable by LoadModelPackage.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"

#include "engine/model/bert_config.h"
#include "engine/model/model_package.h"
#include "engine/tensor/dtype.h"
#include "tests/testing/safetensors_writer.h"

namespace tailor::testing {

struct TinyModelOptions {
  std::string id = {};          // not empty: variant.json is written
  std::string family = "tiny";  // in variant.json
  uint64_t seed = 1;

  int hidden = 32;
  int num_heads = 4;  // of config.json; head_dim = hidden / num_heads
  int ffn_dim = 64;
  int num_layers = 2;
  // Not empty: the layer table (pruned heads, odd ffn widths, ties through attention and ffn),
  // written to variant.json when there is an id.
  std::vector<LayerShape> layers = {};
  int max_positions = 64;
  int num_token_types = 2;
  int num_labels = 1;  // 0: an embedding folder, mean pooling, normalised
  std::string hidden_act = "gelu";

  DType dtype = DType::kF32;
  std::string prefix = "bert.";   // of the encoder's tensors; "distilbert." with `distilbert`
  bool gamma_beta_names = false;  // LayerNorm.gamma instead of LayerNorm.weight
  bool distilbert = false;        // DistilBERT's config keys and tensor names
  bool sharded = false;           // two shards and an index
  std::vector<std::string> vocabulary = {};  // empty: TinyVocabulary()
  std::optional<Quality> quality = {};       // of variant.json
};

// Special tokens, letters and digits with their ## forms, punctuation, and some whole words.
std::vector<std::string> TinyVocabulary();

// The pieces of such a folder, for tests that break one of them. The weights keep hidden states
// and logits of the order of 1, so that differences show.
TensorMap TinyTensors(const TinyModelOptions& options);
nlohmann::json TinyConfig(const TinyModelOptions& options);
nlohmann::json TinyManifest(const TinyModelOptions& options);

// Writes the whole folder (created when missing).
void WriteTinyModel(const std::filesystem::path& folder, const TinyModelOptions& options);

// Writes `tensors` as model.safetensors, or as two shards with an index.
void WriteWeights(const std::filesystem::path& folder, const TensorMap& tensors, bool sharded);

// Writes a variant.json alone: `parent`'s weights in another format.
void WriteDerivedVariant(const std::filesystem::path& folder, const std::string& id,
                         const std::string& family, const std::string& parent,
                         const std::string& format, std::optional<Quality> quality = {});

}  // namespace tailor::testing
