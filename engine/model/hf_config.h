// SPDX-License-Identifier: Apache-2.0
// What a Hugging Face config.json says of a BERT or DistilBERT encoder. Unknown keys are allowed:
// the file is not ours. What would change the arithmetic and is not supported is refused.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

#include "engine/model/bert_config.h"
#include "engine/model/model_package.h"

namespace tailor {

enum class Architecture { kBert, kDistilBert };

struct HfConfig {
  Architecture architecture = Architecture::kBert;
  bool expects_classifier = false;  // "...ForSequenceClassification"
  int hidden = 0;
  int vocab_size = 0;
  int max_positions = 0;
  int num_token_types = 0;  // 0: DistilBERT
  float layer_norm_eps = 1e-12F;
  HiddenActivation activation = HiddenActivation::kGeluErf;
  std::vector<LayerShape> layers;  // with pruned_heads taken off
  std::optional<int> num_labels;
  std::vector<std::string> labels;                    // one a label, or empty
  std::optional<OutputActivation> output_activation;  // of a sentence-transformers CrossEncoder
};

// Errors start with "config.json: ".
absl::StatusOr<HfConfig> ParseHfConfig(const nlohmann::json& config);

}  // namespace tailor
