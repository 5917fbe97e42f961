// SPDX-License-Identifier: Apache-2.0
// From the logits of a row to the numbers that callers see.
#pragma once

#include <span>
#include <vector>

#include "engine/model/model_package.h"

namespace tailor {

// Never overflows, for either sign.
float Sigmoid(float logit);

// Probabilities of one row of logits, by the task's activation; kNone leaves them as they are.
std::vector<float> Activated(std::span<const float> logits, OutputActivation activation);

// The score of a row: the activated value of the logit at the task's score index. Allocates only
// for a softmax, which needs the whole row.
float ActivatedScore(std::span<const float> logits, const TaskSpec& task);

}  // namespace tailor
