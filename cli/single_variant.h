// SPDX-License-Identifier: Apache-2.0
// One variant on a backend of its own, for the commands that need no server.
#pragma once

#include <memory>

#include "absl/status/statusor.h"

#include "engine/api/backend.h"
#include "engine/backend_factory.h"
#include "engine/model/model_package.h"

namespace tailor {

struct SingleVariant {
  std::unique_ptr<Backend> backend;
  LoadedCut loaded;
};

// Memory is planned for the longest input that the variant takes; the other limits are those of
// `options`. Errors are CreateBackend's and Load's.
absl::StatusOr<SingleVariant> LoadSingleVariant(const ModelPackage& package,
                                                BackendOptions options);

}  // namespace tailor
