// SPDX-License-Identifier: Apache-2.0
// What `tailor inspect` prints of a loaded family.
#pragma once

#include <string>
#include <vector>

#include "cli/verify_family.h"

#include "engine/model/family_folder.h"

namespace tailor {

// A table of the variants, the cheapest first, then one line a problem.
std::string InspectTable(const FamilyFolder& family);

// The same as one JSON object in a line; verified: also what VerifyFamily found, or null.
std::string InspectJson(const FamilyFolder& family, const std::vector<VerifiedVariant>* verified);

}  // namespace tailor
