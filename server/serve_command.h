// SPDX-License-Identifier: Apache-2.0
// `tailor serve`: its options.
#pragma once

#include "CLI/App.hpp"

namespace tailor {

// Registers the sub-command; when it is the one that was called, `exit_code` gets its exit code.
void AddServeCommand(CLI::App& app, int* exit_code);

}  // namespace tailor
