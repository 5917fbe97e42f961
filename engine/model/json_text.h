// SPDX-License-Identifier: Apache-2.0
// JSON from files that nobody vouches for.
#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

namespace tailor {

struct JsonLimits {
  size_t max_bytes = 1 << 20;
  int max_depth = 32;
};

// Parses one JSON value. InvalidArgument, with the byte position where there is one, for malformed
// text or UTF-8, nesting or size above the limits, numbers that do not fit, and duplicate keys
// (readers disagree on which of them counts). Throws nothing.
absl::StatusOr<nlohmann::json> ParseJson(absl::string_view text, const JsonLimits& limits = {});

}  // namespace tailor
