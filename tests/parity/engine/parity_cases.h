// SPDX-License-Identifier: Apache-2.0
// The models and batches that every engine is held to.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/model/bert_config.h"

namespace tailor::testing {

// Every kind of model that issues are made of, by name.
std::map<std::string, BertConfig> ParityConfigs();
std::vector<std::string> ParityConfigNames();

// Lengths of the sequences of a batch, by name; all fit kParityLimits.
std::map<std::string, std::vector<int>> ParityBatches();

}  // namespace tailor::testing
