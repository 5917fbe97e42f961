// SPDX-License-Identifier: Apache-2.0
// Which variants of a family are worth their cost.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/model/model_package.h"

namespace tailor {

struct LadderEntry {
  std::string id;
  double cost = 0;
  std::optional<double> quality;  // absent: never on the ladder
};

// One flag an entry: true when no other entry of at most its cost has at least its quality. Of
// entries equal in both, the one with the smallest id is on the ladder.
std::vector<bool> OnLadder(std::span<const LadderEntry> entries);

// Floating point operations for one pair of `num_tokens` tokens; the last layer counts in full. An
// estimate to compare variants before anything is measured.
double EstimateFlops(const BertConfig& config, int num_tokens);

// EstimateFlops for 128 tokens in units of f32 work. bf16 counts half: it loads only where its
// products run on their own units, and these are at least twice as fast. int8 counts a quarter.
double EstimateCost(const ModelPackage& package);

}  // namespace tailor
