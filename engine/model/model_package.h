// SPDX-License-Identifier: Apache-2.0
// One variant as loaded from its folder: validated configuration, weights, and what the family
// needs to know about it. docs/bundle.md is the specification of the folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "engine/model/bert_config.h"
#include "engine/model/bert_weights.h"
#include "engine/model/elastic.h"
#include "engine/model/linear_model.h"
#include "engine/model/weight_format.h"

namespace tailor {

enum class TaskKind { kRelevance, kClassification, kRegression };
enum class OutputActivation { kNone, kSigmoid, kSoftmax };

struct TaskSpec {
  TaskKind kind = TaskKind::kRelevance;
  int score_index = 0;  // which logit is the score of a pair
  OutputActivation activation = OutputActivation::kSigmoid;
  int max_tokens = 512;             // longest pair, special tokens included
  std::vector<std::string> labels;  // one a logit
};

struct TokenizerSpec {
  std::vector<std::string> vocabulary;  // index = token id
  bool lower_case = true;
  bool strip_accents = true;
  std::string sha256;  // of the vocabulary: one entry a line, each ended by '\n'
};

struct Quality {
  double ndcg10 = 0;
  double ci_low = 0;  // 95 % bootstrap interval
  double ci_high = 0;
  int num_queries = 0;
  std::string dataset_id;
};

// What the variant must score, so that a wrong file, kernel or host shows before it serves.
struct ReferenceScores {
  std::string inputs_file;    // JSON lines {"query", "document"} in the family's folder
  std::string sha256;         // of that file
  std::vector<float> scores;  // one a line: the raw logit at score_index
  double tolerance = 0;       // largest difference that is still right
};

struct ModelPackage {
  std::string id;      // [a-z0-9._-]{1,64}, unique in the family
  std::string family;  // empty for a plain Hugging Face folder
  std::filesystem::path folder;
  // Of products whose weights are stored as floats; stored codes are computed as int8.
  WeightFormat format = WeightFormat::kF32;
  std::string parent;  // of a derived variant, else empty
  BertConfig config;
  BertWeights weights;                // views into `storage` and `derived_storage`
  std::optional<LinearModel> linear;  // instead of `weights`; config then has no layers
  TaskSpec task;
  TokenizerSpec tokenizer;
  std::optional<Elastic> elastic;         // of a variant that others may take sub-networks of
  std::optional<SubNetwork> sub_network;  // of a derived variant
  std::optional<ReferenceScores> reference;
  std::optional<Quality> quality;  // absent: chosen only by pin, or when it is alone
  int64_t num_parameters = 0;
  int64_t weight_bytes = 0;             // as stored
  std::shared_ptr<const void> storage;  // keeps the tensors alive; shared by derived variants
  std::shared_ptr<const void> derived_storage;  // tensors that only a derived variant has, or null
};

// Loads and validates one folder that has weights of its own. Errors name the file or key, what
// was expected and what came. Allocates nothing for tensors before the header has been validated.
// Not for derived variants (a variant.json alone), which need their family: see family_folder.h.
absl::StatusOr<ModelPackage> LoadModelPackage(const std::filesystem::path& folder);

}  // namespace tailor
