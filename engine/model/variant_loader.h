// SPDX-License-Identifier: Apache-2.0
// From the pieces of one folder to a ModelPackage: head and task decided, manifest and files
// compared, weights bound.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "engine/model/model_folder.h"
#include "engine/model/model_package.h"
#include "engine/model/variant_manifest.h"

namespace tailor {

// Nothing when the folder has no variant.json.
absl::StatusOr<std::optional<VariantManifest>> ReadVariantManifest(const ModelFolder& folder);

// A variant with weights of its own. Without a manifest the id comes from the folder's name.
absl::StatusOr<ModelPackage> LoadVariant(const ModelFolder& folder,
                                         const std::optional<VariantManifest>& manifest);

// `parent` with the id, format, quality and task of `manifest`, which names it in "derive"; shares
// its weights.
absl::StatusOr<ModelPackage> DeriveVariant(const ModelFolder& folder,
                                           const VariantManifest& manifest,
                                           const ModelPackage& parent);

// A folder's name as an id: lower case, "-" for what an id may not have, cut to 64; "variant" when
// nothing is left.
std::string IdFromFolderName(const std::filesystem::path& folder);

}  // namespace tailor
