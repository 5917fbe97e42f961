// SPDX-License-Identifier: Apache-2.0
#include "server/pair_scorer.h"

#include "base/status_macros.h"

namespace tailor {

void PairScorer::SetQuery(std::string_view query) { query_ = tokenizer_.EncodeText(query); }

absl::StatusOr<bool> PairScorer::Add(std::string_view document) {
  const EncodedText encoded =
      tokenizer_.EncodeText(document, DocumentTokenLimit(query_, task_.max_tokens));
  tokenizer_.AssemblePair(query_, encoded, task_.max_tokens, &ids_, &types_);
  const BatchLimits& limits = backend_.info().limits;
  const int tokens = static_cast<int>(ids_.size());
  if (tokens > limits.max_sequence_tokens) return false;
  if (batch_.num_tokens() + tokens > limits.max_tokens ||
      batch_.num_sequences() == limits.max_sequences) {
    TAILOR_RETURN_IF_ERROR(Flush());
  }
  batch_.Append(ids_, types_);
  return true;
}

absl::Status PairScorer::Flush() {
  const auto pairs = static_cast<size_t>(batch_.num_sequences());
  if (pairs == 0) return absl::OkStatus();
  const auto width = static_cast<size_t>(loaded_.num_outputs);
  const auto score_index = static_cast<size_t>(task_.score_index);
  outputs_.resize(pairs * width);
  TAILOR_RETURN_IF_ERROR(backend_.Run(loaded_.cut, batch_, outputs_));
  for (size_t i = 0; i < pairs; ++i) scores_.push_back(outputs_[i * width + score_index]);
  batch_.Clear();
  return absl::OkStatus();
}

}  // namespace tailor
