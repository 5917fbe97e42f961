// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/selector.h"

#include <algorithm>
#include <limits>

namespace tailor {

std::vector<int> ByQuality(std::span<const VariantState> variants, const VariantSet& set,
                           const WorkShape& work) {
  std::vector<int> order;
  for (int i = 0; i < static_cast<int>(variants.size()); ++i) {
    if (Contains(set, i) && variants[static_cast<size_t>(i)].is_available) order.push_back(i);
  }
  const auto key = [&](int i) {
    const VariantState& state = variants[static_cast<size_t>(i)];
    return std::pair(-state.quality.value_or(-1), BatchSeconds(state.cost, work));
  };
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return key(a) < key(b); });
  return order;
}

int CheapestVariant(std::span<const VariantState> variants, const VariantSet& set,
                    const WorkShape& work, const BatchLimits& limits) {
  int cheapest = -1;
  double least = std::numeric_limits<double>::infinity();
  for (int i = 0; i < static_cast<int>(variants.size()); ++i) {
    const VariantState& state = variants[static_cast<size_t>(i)];
    if (!Contains(set, i) || !state.is_available) continue;
    const double seconds = AloneSeconds(state.cost, work, limits);
    if (cheapest < 0 || seconds < least) {
      cheapest = i;
      least = seconds;
    }
  }
  return cheapest;
}

int BestInTime(std::span<const VariantState> variants, const VariantSet& set, const WorkShape& work,
               const BatchLimits& limits, double safety, double seconds) {
  for (const int i : ByQuality(variants, set, work)) {
    const CostCoefficients& cost = variants[static_cast<size_t>(i)].cost;
    if (safety * AloneSeconds(cost, work, limits) <= seconds) return i;
  }
  return -1;
}

}  // namespace tailor
