// SPDX-License-Identifier: Apache-2.0
// "Did you mean": the closest of the known names.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace tailor {

// The known name with the smallest Levenshtein distance to `name` (ties: the first), or an empty
// string when none is closer than half the length of `name` plus one.
std::string NearestName(std::string_view name, std::span<const std::string> known);

}  // namespace tailor
