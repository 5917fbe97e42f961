// SPDX-License-Identifier: Apache-2.0
// What a simulated family costs and how good it is: a JSON file, see bench/policies/profiles.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "base/clock.h"
#include "engine/api/batch.h"
#include "server/pipeline/cost_model.h"

namespace tailor {

struct ProfileCut {
  std::string id;
  double quality = 0;     // 0 to 1
  CostCoefficients cost;  // ratio 1
};

struct Profile {
  std::string name;
  std::string source;  // where its numbers come from
  BatchLimits limits;
  int documents = 1;  // of a usual request
  int tokens = 128;   // of a usual pair
  int capacity_cut = 0;
  Duration reply_margin{};      // the server keeps it back
  Duration request_overhead{};  // from the arrival until a request can be queued
  Duration batch_overhead{};    // of the worker between two batches
  std::vector<ProfileCut> cuts;
};

// NotFound when the file cannot be read, InvalidArgument when it is not a profile. Messages name
// the file and the key.
absl::StatusOr<Profile> ReadProfile(const std::filesystem::path& file);
// `where` stands for the file in messages.
absl::StatusOr<Profile> ParseProfile(const std::string& text, const std::string& where);

// Seconds of the usual request alone with the best cut: the unit of generated budgets.
double BudgetUnitSeconds(const Profile& profile);

}  // namespace tailor
