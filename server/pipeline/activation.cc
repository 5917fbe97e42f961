// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/activation.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace tailor {

float Sigmoid(float logit) {
  const double e = std::exp(-std::fabs(static_cast<double>(logit)));
  return static_cast<float>(logit >= 0 ? 1 / (1 + e) : e / (1 + e));
}

std::vector<float> Activated(std::span<const float> logits, OutputActivation activation) {
  std::vector<float> values(logits.begin(), logits.end());
  switch (activation) {
    case OutputActivation::kNone:
      break;
    case OutputActivation::kSigmoid:
      std::transform(values.begin(), values.end(), values.begin(), Sigmoid);
      break;
    case OutputActivation::kSoftmax: {
      const float largest = *std::max_element(values.begin(), values.end());
      for (float& value : values) value = std::exp(value - largest);
      const float sum = std::accumulate(values.begin(), values.end(), 0.0F);
      for (float& value : values) value /= sum;
      break;
    }
  }
  return values;
}

float ActivatedScore(std::span<const float> logits, const TaskSpec& task) {
  const auto index = static_cast<size_t>(task.score_index);
  if (task.activation == OutputActivation::kSoftmax) {
    return Activated(logits, task.activation)[index];
  }
  return task.activation == OutputActivation::kSigmoid ? Sigmoid(logits[index]) : logits[index];
}

}  // namespace tailor
