// SPDX-License-Identifier: Apache-2.0
// Orders of documents: of one variant's outputs, and how far two of them agree.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/model/model_package.h"

namespace tailor {

// Rows best first, ties in the order of the rows. `outputs` is [rows, width] raw. By the task's
// score, or by its logit: only a softmax over several outputs orders them differently.
std::vector<int32_t> RankOrder(std::span<const float> outputs, int width, const TaskSpec& task,
                               bool by_logit);

struct RankAgreement {
  double top1 = 0;         // 1: the same row is first
  double top10 = 0;        // share of the first ten, or of all when there are fewer, in common
  double kendall_tau = 0;  // (pairs in the same order - the others) / pairs
};

// Both are permutations of the same rows, at least two. Quadratic in the rows.
RankAgreement AgreementOf(std::span<const int32_t> first, std::span<const int32_t> second);

}  // namespace tailor
