// SPDX-License-Identifier: Apache-2.0
// Linear variants for tests: same options, same bytes.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "nlohmann/json.hpp"

#include "engine/model/model_package.h"
#include "tests/testing/safetensors_writer.h"

namespace tailor::testing {

struct TinyLinearOptions {
  std::string id = "linear";
  std::string family = "tiny";
  int bits = 8;
  int max_tokens = 64;
  std::optional<Quality> quality = {};
};

// The pieces of such a folder over TinyVocabulary(), for tests that break one of them.
TensorMap TinyLinearTensors(const TinyLinearOptions& options);
nlohmann::json TinyLinearManifest(const TinyLinearOptions& options);

// Writes the whole folder (created when missing).
void WriteTinyLinear(const std::filesystem::path& folder, const TinyLinearOptions& options);

}  // namespace tailor::testing
