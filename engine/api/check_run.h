// SPDX-License-Identifier: Apache-2.0
// What every backend asks of a Run before and after it computes.
#pragma once

#include <span>

#include "absl/status/status.h"

#include "engine/api/backend.h"
#include "engine/api/batch.h"
#include "engine/model/bert_config.h"

namespace tailor {

// Whether `cut` names one of `variants` variants, none of which has sub-networks of its own.
absl::Status CheckCut(Cut cut, size_t variants);

// Whether the batch is well formed for the model and within `limits`, and outputs has a row of
// num_outputs for each sequence.
absl::Status CheckBatch(const Batch& batch, const BatchLimits& limits, const BertConfig& config,
                        std::span<const float> outputs);

// Internal, with the sequence, when a number of outputs, [sequences, num_outputs], is not finite.
absl::Status CheckFinite(std::span<const float> outputs, int num_outputs);

}  // namespace tailor
