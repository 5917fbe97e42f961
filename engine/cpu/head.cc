// SPDX-License-Identifier: Apache-2.0
#include "engine/cpu/head.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/check.h"

namespace tailor {

KernelActivation PoolerKernel(PoolerActivation activation) {
  switch (activation) {
    case PoolerActivation::kNone:
      break;
    case PoolerActivation::kTanh:
      return KernelActivation::kTanh;
    case PoolerActivation::kRelu:
      return KernelActivation::kRelu;
    case PoolerActivation::kTanhRelu:
      return KernelActivation::kTanhRelu;
  }
  TAILOR_CHECK(activation != PoolerActivation::kNone);
  return KernelActivation::kTanh;
}

void WriteOutput(const PackedModel& model, const float* pooled, std::span<float> output) {
  const size_t hidden = model.config.hidden;
  if (model.config.head.kind == HeadKind::kEmbedding) {
    std::copy_n(pooled, hidden, output.begin());
    if (model.config.head.normalize) NormalizeLength(output);
    return;
  }
  for (size_t i = 0; i < output.size(); ++i) {
    const float* weight = model.classifier_weight.data() + i * hidden;
    output[i] = std::inner_product(pooled, pooled + hidden, weight, model.classifier_bias[i]);
  }
}

void MeanRows(const float* rows, int count, std::span<float> output) {
  std::fill(output.begin(), output.end(), 0.0F);
  for (int r = 0; r < count; ++r, rows += output.size()) {
    for (size_t i = 0; i < output.size(); ++i) output[i] += rows[i];
  }
  const float inverse = 1.0F / static_cast<float>(count);
  for (float& value : output) value *= inverse;
}

void NormalizeLength(std::span<float> row) {
  const float squares = std::inner_product(row.begin(), row.end(), row.begin(), 0.0F);
  const float inverse = 1.0F / std::max(std::sqrt(squares), 1e-12F);
  for (float& value : row) value *= inverse;
}

}  // namespace tailor
