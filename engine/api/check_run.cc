// SPDX-License-Identifier: Apache-2.0
#include "engine/api/check_run.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"

namespace tailor {

absl::Status CheckCut(Cut cut, size_t variants) {
  const auto count = static_cast<int>(variants);
  if (cut.variant >= 0 && cut.variant < count && cut.sub_network == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("cut: expected variant below ", count,
                                                 " and sub-network 0, got ", cut.variant, " and ",
                                                 cut.sub_network));
}

absl::Status CheckBatch(const Batch& batch, const BatchLimits& limits, const BertConfig& config,
                        std::span<const float> outputs) {
  BatchLimits of_model = limits;
  of_model.max_sequence_tokens = std::min(limits.max_sequence_tokens, config.max_positions);
  TAILOR_RETURN_IF_ERROR(batch.Validate(of_model, config.vocab_size, config.num_token_types));
  const size_t expected = static_cast<size_t>(batch.num_sequences()) * config.head.num_outputs;
  if (outputs.size() == expected) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("outputs: expected ", expected, " values, got ", outputs.size()));
}

absl::Status CheckFinite(std::span<const float> outputs, int num_outputs) {
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (std::isfinite(outputs[i])) continue;
    return absl::InternalError(
        absl::StrCat("sequence ", i / num_outputs, ": output is not finite"));
  }
  return absl::OkStatus();
}

}  // namespace tailor
