// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/rank_order.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"
#include "server/pipeline/activation.h"

namespace tailor {
namespace {

constexpr size_t kTop = 10;

// One a row. Those of a sigmoid are the logits: the order is the same, and without the ties of
// saturated scores.
std::vector<float> SortKeys(std::span<const float> outputs, int width, const TaskSpec& task,
                            bool by_logit) {
  const bool is_softmax = task.activation == OutputActivation::kSoftmax && !by_logit;
  const auto row_size = static_cast<size_t>(width);
  std::vector<float> keys(outputs.size() / row_size);
  for (size_t row = 0; row < keys.size(); ++row) {
    const std::span<const float> logits = outputs.subspan(row * row_size, row_size);
    keys[row] =
        is_softmax ? ActivatedScore(logits, task) : logits[static_cast<size_t>(task.score_index)];
  }
  return keys;
}

std::vector<size_t> PlacesOf(std::span<const int32_t> order) {
  std::vector<size_t> places(order.size());
  for (size_t i = 0; i < order.size(); ++i) places[static_cast<size_t>(order[i])] = i;
  return places;
}

}  // namespace

std::vector<int32_t> RankOrder(std::span<const float> outputs, int width, const TaskSpec& task,
                               bool by_logit) {
  const std::vector<float> keys = SortKeys(outputs, width, task, by_logit);
  std::vector<int32_t> order(keys.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return keys[static_cast<size_t>(a)] > keys[static_cast<size_t>(b)];
  });
  return order;
}

RankAgreement AgreementOf(std::span<const int32_t> first, std::span<const int32_t> second) {
  const size_t count = first.size();
  TAILOR_CHECK(count >= 2 && second.size() == count);
  const std::vector<size_t> places = PlacesOf(second);
  const size_t top = std::min(kTop, count);
  size_t common = 0;
  for (size_t i = 0; i < top; ++i) {
    if (places[static_cast<size_t>(first[i])] < top) ++common;
  }
  size_t same = 0;
  for (size_t i = 0; i < count; ++i) {
    for (size_t j = i + 1; j < count; ++j) {
      if (places[static_cast<size_t>(first[i])] < places[static_cast<size_t>(first[j])]) ++same;
    }
  }
  const size_t pairs = count * (count - 1) / 2;
  return {.top1 = first[0] == second[0] ? 1.0 : 0.0,
          .top10 = static_cast<double>(common) / static_cast<double>(top),
          .kendall_tau = 2 * static_cast<double>(same) / static_cast<double>(pairs) - 1};
}

}  // namespace tailor
