// SPDX-License-Identifier: Apache-2.0
// `tailor inspect --verify DIR`: every variant runs all its reference pairs on the cpu backend.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"

#include "engine/model/family_folder.h"
#include "server/reference_check.h"

namespace tailor {

struct VerifiedVariant {
  std::string id;
  absl::Status status;                  // why there is no check
  std::optional<ReferenceCheck> check;  // absent also for a variant without reference scores
};

// One entry a variant, in the family's order; each is loaded alone, so that memory holds one.
std::vector<VerifiedVariant> VerifyFamily(const FamilyFolder& family);

// Whether every variant that has reference scores reproduced them. One that this host cannot run at
// its own speed (FailedPrecondition) was not tried and does not count.
bool AllVerified(const std::vector<VerifiedVariant>& verified);

// A line a variant: "big  ok  256 pairs, largest difference 1.2e-06 (line 17), tolerance 0.001".
std::string VerifyTable(const std::vector<VerifiedVariant>& verified);

}  // namespace tailor
