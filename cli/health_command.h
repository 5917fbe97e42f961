// SPDX-License-Identifier: Apache-2.0
// `tailor health`: asks a server's /healthz; for container health checks in images without curl.
#pragma once

#include <CLI/CLI.hpp>

namespace tailor {

// Registers the sub-command. It stores 0 in *exit_code when the server is ready, 69 (unavailable)
// when it is not or cannot be reached within three seconds.
void AddHealthCommand(CLI::App& app, int* exit_code);

}  // namespace tailor
