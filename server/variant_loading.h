// SPDX-License-Identifier: Apache-2.0
// From a family's folder to what the pipeline needs: a tokenizer and a backend with every variant
// that can be served.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "engine/api/backend.h"
#include "engine/backend_factory.h"
#include "server/calibration_file.h"
#include "server/pipeline/ranker.h"
#include "server/pipeline/server_facts.h"
#include "server/server_config.h"
#include "server/text/tokenizer.h"

namespace tailor {

struct LoadedFamily {
  std::string id;
  std::shared_ptr<const Tokenizer> tokenizer;  // null when no variant is left
  std::vector<ServedVariant> variants;
  std::unique_ptr<Backend> backend;
  std::vector<RefusedVariant> refused;  // each was logged in one line
  FamilyCalibration calibration;        // empty: none, the log has the reason
};

// Fails when the folder cannot be read or the backend cannot be had, and as kDeviceLost; a variant
// that cannot be served is refused and the others stay, even none.
absl::StatusOr<LoadedFamily> LoadFamily(const ServerConfig& config,
                                        const BackendFactory& create_backend = CreateBackend);

}  // namespace tailor
