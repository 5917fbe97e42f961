// SPDX-License-Identifier: Apache-2.0
#include "engine/model/model_package.h"

#include "absl/status/status.h"

#include "base/status_macros.h"
#include "engine/model/model_folder.h"
#include "engine/model/variant_loader.h"

namespace tailor {

absl::StatusOr<ModelPackage> LoadModelPackage(const std::filesystem::path& folder) {
  TAILOR_ASSIGN_OR_RETURN(const ModelFolder opened, ModelFolder::Open(folder, folder));
  TAILOR_ASSIGN_OR_RETURN(const auto manifest, ReadVariantManifest(opened));
  if (manifest && manifest->derive) {
    return absl::InvalidArgumentError(
        "variant.json: derive: expected a folder with weights of its own, got one that needs its "
        "family");
  }
  return LoadVariant(opened, manifest);
}

}  // namespace tailor
