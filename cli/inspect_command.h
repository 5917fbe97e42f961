// SPDX-License-Identifier: Apache-2.0
// `tailor inspect DIR`: a family's variants as a table, and what is wrong with the others.
#pragma once

#include <filesystem>
#include <ostream>

#include "CLI/CLI.hpp"

namespace tailor {

// Registers the sub-command. Its callback stores Inspect's result in *exit_code.
void AddInspectCommand(CLI::App& app, int* exit_code);

struct InspectOptions {
  bool as_json = false;
  bool verify = false;  // run every variant's reference pairs
};

// Prints the family to `out`, or why it cannot be read to `error`. Returns 0 when all variants are
// good, 1 when some were refused or failed their check, 78 when none can be loaded.
int Inspect(const std::filesystem::path& folder, const InspectOptions& options, std::ostream& out,
            std::ostream& error);

}  // namespace tailor
