// SPDX-License-Identifier: Apache-2.0
// A server from its start to the end of its process: signals, exit codes.
#pragma once

#include "absl/status/status.h"

#include "engine/backend_factory.h"
#include "server/server_config.h"

namespace tailor {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailure = 1;
inline constexpr int kExitUsage = 64;   // EX_USAGE
inline constexpr int kExitDevice = 70;  // EX_SOFTWARE: the device was lost; a new process may do
inline constexpr int kExitConfig = 78;  // EX_CONFIG: bad configuration, port in use

// Serves until a signal or the loss of the device ends it; returns the exit code. Ends the process
// itself when a signal comes before the server is ready, with a second one, and when what a lost
// device left behind does not end within seconds. To be called before any other thread exists.
int Serve(const ServerConfig& config, const BackendFactory& create_backend);

// Says why in one line on standard error; returns `exit_code`.
int FailToServe(const absl::Status& status, int exit_code);

}  // namespace tailor
