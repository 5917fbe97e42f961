// SPDX-License-Identifier: Apache-2.0
// All policies by name. A new one is a file in this folder and a row of the table.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"

#include "server/pipeline/selector.h"

namespace tailor {

struct PolicyInfo {
  std::string_view name;
  std::string_view argument;  // what follows "name:"; empty: nothing
  std::string_view help;      // one line
};

// In the order of the documentation.
std::span<const PolicyInfo> Policies();

// "tailored, fixed:VARIANT, .."
std::string PolicyNames();

// OK when such a policy exists for some family; the argument is not looked at.
absl::Status CheckPolicyName(std::string_view policy);

}  // namespace tailor
