// SPDX-License-Identifier: Apache-2.0
#include "engine/model/ladder.h"

#include <tuple>

#include "engine/model/product_weights.h"

namespace tailor {
namespace {

constexpr int kPairTokens = 128;
// Of one cross of a query token with a document token: its hash, its look-up, its product.
constexpr double kCrossOperations = 10;

bool Beats(const LadderEntry& a, const LadderEntry& b) {
  if (!a.quality || a.cost > b.cost || *a.quality < *b.quality) return false;
  return std::tie(a.cost, b.quality, a.id) < std::tie(b.cost, a.quality, b.id);
}

double CostShare(WeightFormat format) {
  switch (format) {
    case WeightFormat::kF32:
    case WeightFormat::kF16:  // stored narrower, computed in f32
      return 1.0;
    case WeightFormat::kBf16:
      return 0.5;
    case WeightFormat::kInt8:
      return 0.25;
  }
  return 1.0;
}

}  // namespace

std::vector<bool> OnLadder(std::span<const LadderEntry> entries) {
  std::vector<bool> on_ladder;
  for (const LadderEntry& entry : entries) {
    bool is_on = entry.quality.has_value();
    for (const LadderEntry& other : entries) {
      is_on = is_on && (&other == &entry || !Beats(other, entry));
    }
    on_ladder.push_back(is_on);
  }
  return on_ladder;
}

double EstimateFlops(const BertConfig& config, int num_tokens) {
  const double tokens = num_tokens;
  const double hidden = config.hidden;
  double flops = 0;
  for (const LayerShape& layer : config.layers) {
    const double attention = layer.attention_dim();
    const double products = hidden * (4 * attention + 2 * layer.ffn_dim);
    flops += 2 * tokens * products + 4 * tokens * tokens * attention;
  }
  if (config.head.kind == HeadKind::kClassifier) {
    const double pooler = config.head.pooler == PoolerActivation::kNone ? 0 : hidden;
    flops += 2 * hidden * (pooler + config.head.num_outputs);
  }
  return flops;
}

double EstimateCost(const ModelPackage& package) {
  // The most crosses that a pair of 128 tokens can have.
  if (package.linear) return kCrossOperations * kPairTokens * kPairTokens / 4;
  return EstimateFlops(package.config, kPairTokens) * CostShare(MainFormat(package));
}

}  // namespace tailor
