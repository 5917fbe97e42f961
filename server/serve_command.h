// SPDX-License-Identifier: Apache-2.0
// `tailor serve`: options, signals, exit codes.
#pragma once

#include "CLI/App.hpp"

namespace tailor {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailure = 1;
inline constexpr int kExitUsage = 64;   // EX_USAGE
inline constexpr int kExitConfig = 78;  // EX_CONFIG: bad configuration, port in use

// Registers the sub-command; when it is the one that was called, `exit_code` gets its exit code.
void AddServeCommand(CLI::App& app, int* exit_code);

}  // namespace tailor
