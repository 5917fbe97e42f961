// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/cost_prior.h"

#include <algorithm>
#include <cmath>

namespace tailor {
namespace {

bool IsSame(const WorkShape& a, const WorkShape& b) {
  return a.rows == b.rows && a.tokens == b.tokens && a.squares == b.squares;
}

}  // namespace

std::vector<CostSample> TowardsPrior(std::vector<CostSample> samples, const CostCoefficients& prior,
                                     std::span<const WorkShape> shapes) {
  double log_ratios = 0;
  int count = 0;
  for (CostSample& sample : samples) {
    const double known = ModeledSeconds(prior, sample.shape);
    if (known <= 0 || sample.seconds <= 0) continue;
    if (sample.seconds > known) sample.seconds = std::sqrt(sample.seconds * known);
    log_ratios += std::log(sample.seconds / known);
    ++count;
  }
  if (count == 0) return samples;
  const double ratio = std::exp(log_ratios / count);
  for (const WorkShape& shape : shapes) {
    const bool is_measured = std::any_of(samples.begin(), samples.end(), [&](const auto& sample) {
      return IsSame(sample.shape, shape);
    });
    if (!is_measured) samples.push_back({shape, ratio * ModeledSeconds(prior, shape)});
  }
  return samples;
}

}  // namespace tailor
