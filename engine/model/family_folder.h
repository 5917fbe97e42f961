// SPDX-License-Identifier: Apache-2.0
// A family on disk: a folder whose sub-folders are variants, or itself one plain model folder.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "engine/model/model_package.h"

namespace tailor {

// A sub-folder that was refused, and why, in one line.
struct VariantProblem {
  std::string name;
  absl::Status status;
};

struct FamilyFolder {
  std::string id;
  std::filesystem::path path;  // of the family, also where one of its variants was asked for
  std::vector<ModelPackage> variants;  // sorted by id
  std::vector<VariantProblem> problems;
};

// Loads every variant of `folder`; a bad one becomes a problem and the others stay. Refused as
// problems too: duplicate ids, a tokenizer that differs from the family's, another family's id, a
// derived variant whose parent is missing, names with "..", and links that leave `folder`.
// Fails only when `folder` cannot be read or holds no candidate at all.
absl::StatusOr<FamilyFolder> LoadFamilyFolder(const std::filesystem::path& folder);

}  // namespace tailor
