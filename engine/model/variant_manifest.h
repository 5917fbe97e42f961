// SPDX-License-Identifier: Apache-2.0
// variant.json: what Tailor needs beyond a Hugging Face folder. docs/bundle.md lists the
// keys.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

#include "engine/model/bert_config.h"
#include "engine/model/hf_config.h"
#include "engine/model/model_package.h"

namespace tailor {

// Where the step of an int8 product's inputs comes from.
enum class InputScales { kDynamic, kStatic };

// Absent fields keep what the rest of the folder says; present ones must agree with it.
struct VariantManifest {
  struct Task {
    std::optional<TaskKind> kind;
    std::optional<int> num_labels;
    std::optional<int> score_index;
    std::optional<OutputActivation> activation;
    std::optional<int> max_tokens;
  };
  struct Tokenizer {
    std::optional<std::string> sha256;
    std::optional<int> vocab_size;
    std::optional<bool> lower_case;
    std::optional<bool> strip_accents;
  };
  struct Arch {
    std::optional<Architecture> kind;
    std::optional<int> hidden;
    std::optional<int> embedding;
    std::optional<HiddenActivation> hidden_act;
    std::optional<double> eps;
    std::optional<int> type_vocab;
    std::optional<PoolerActivation> pooler;
    bool has_embedding_map = false;
  };
  // attn and ffn are layer indices of the tensor names, not yet of BertWeights.
  struct Layer {
    std::optional<int> attention, ffn, num_heads, head_dim, ffn_dim;
  };
  // Steps in this order; masks and sub_network exclude each other.
  struct Derive {
    std::string parent;
    std::optional<std::string> masks;  // a file
    std::optional<SubNetwork> sub_network;
    std::optional<WeightFormat> format;
  };
  struct File {
    std::string path;
    std::optional<std::string> sha256;
    std::optional<uint64_t> bytes;
  };

  std::string id;
  std::string family;
  Task task;
  Tokenizer tokenizer;
  Arch arch;
  std::optional<LinearSpec> linear;  // of `arch`, when its kind is linear
  std::vector<Layer> layers;
  std::optional<Derive> derive;
  std::optional<Elastic> elastic;
  std::optional<InputScales> activations;
  std::optional<ReferenceScores> reference;
  std::vector<File> files;
  std::optional<Quality> quality;
};

// Refuses unknown keys, naming the nearest known one. Errors start with "variant.json: ".
absl::StatusOr<VariantManifest> ParseVariantManifest(const nlohmann::json& value);

// [a-z0-9._-]{1,64}, no leading dot.
bool IsVariantId(absl::string_view id);

}  // namespace tailor
