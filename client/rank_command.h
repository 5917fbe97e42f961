// SPDX-License-Identifier: Apache-2.0
// `tailor rank`: ranks lines of text for a query.
#pragma once

#include "CLI/CLI.hpp"

namespace tailor {

// Registers the sub-command. Its callback stores the exit code (client/command_options.h) in
// *exit_code: 0 answered, 1 refused or failed, 64 a wrong option, 66 unreadable input, 69 no
// server.
void AddRankCommand(CLI::App& app, int* exit_code);

}  // namespace tailor
