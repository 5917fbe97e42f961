// SPDX-License-Identifier: Apache-2.0
// Scores (query, document) pairs on one backend without a server: packs them into batches, in
// order.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "engine/api/backend.h"
#include "engine/model/model_package.h"
#include "server/text/tokenizer.h"

namespace tailor {

// Not thread-safe. All that it is given outlives it.
class PairScorer {
 public:
  PairScorer(const TaskSpec& task, const Tokenizer& tokenizer, const LoadedCut& loaded,
             Backend& backend)
      : task_(task), tokenizer_(tokenizer), loaded_(loaded), backend_(backend) {}

  // The query of the pairs that follow.
  void SetQuery(std::string_view query);

  // Takes a pair, and runs those before it when they fill a batch. False, and the pair has no
  // score, when it is longer than the backend's batches: cut shorter it would be another pair.
  absl::StatusOr<bool> Add(std::string_view document);

  // Runs what still waits.
  absl::Status Flush();

  // Raw scores of the pairs that have been run, in the order in which they were taken. The caller
  // may empty it.
  std::vector<float>& scores() { return scores_; }

 private:
  const TaskSpec& task_;
  const Tokenizer& tokenizer_;
  const LoadedCut& loaded_;
  Backend& backend_;
  EncodedText query_;
  Batch batch_;
  std::vector<int32_t> ids_;
  std::vector<int32_t> types_;
  std::vector<float> outputs_;
  std::vector<float> scores_;
};

}  // namespace tailor
