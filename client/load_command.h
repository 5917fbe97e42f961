// SPDX-License-Identifier: Apache-2.0
// `tailor load`: puts a server under load and says how it did.
#pragma once

#include "CLI/CLI.hpp"

namespace tailor {

// Registers the sub-command. Its callback stores the exit code (client/command_options.h) in
// *exit_code: 0 measured, 1 no call was answered, 64 a wrong option, 66 unreadable input, 69 no
// server, 75 the run is void because the client did not keep its schedule.
void AddLoadCommand(CLI::App& app, int* exit_code);

}  // namespace tailor
