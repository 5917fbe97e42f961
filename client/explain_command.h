// SPDX-License-Identifier: Apache-2.0
// `tailor explain`: which variant a running server would take for given lengths and a budget, and
// why not the others.
#pragma once

#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/statusor.h"

namespace tailor {

// Registers the sub-command. Its callback stores the exit code (client/command_options.h) in
// *exit_code: 0 explained (also that it would be refused), 1 failed, 64 a wrong option, 69 no
// server.
void AddExplainCommand(CLI::App& app, int* exit_code);

namespace client {

// Tokens of each document from "84,120" (each alone) and "32x84" (32 of 84), also mixed.
// InvalidArgument: no such list, more than 100000 documents, or lengths below 1.
absl::StatusOr<std::vector<int>> ParseLengths(const std::string& text);

}  // namespace client
}  // namespace tailor
