// SPDX-License-Identifier: Apache-2.0
#include "cli/single_variant.h"

#include <algorithm>

#include "base/status_macros.h"

namespace tailor {

absl::StatusOr<SingleVariant> LoadSingleVariant(const ModelPackage& package,
                                                BackendOptions options) {
  BatchLimits& limits = options.limits;
  limits.max_sequence_tokens = std::min(package.task.max_tokens, package.config.max_positions);
  limits.max_tokens = std::max(limits.max_tokens, limits.max_sequence_tokens);
  SingleVariant variant;
  TAILOR_ASSIGN_OR_RETURN(variant.backend, CreateBackend(options));
  TAILOR_ASSIGN_OR_RETURN(variant.loaded, variant.backend->Load(package));
  return variant;
}

}  // namespace tailor
