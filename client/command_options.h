// SPDX-License-Identifier: Apache-2.0
// What the client's commands share: where option values come from, and how they end.
#pragma once

#include <string>
#include <string_view>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "client/call_error.h"

namespace tailor::client {

// Exit codes, after sysexits.h where it has one.
enum ExitCode : int {
  kExitOk = 0,
  kExitNotAnswered = 1,   // the server refused or failed
  kExitUsage = 64,        // an option is wrong
  kExitNoInput = 66,      // a file cannot be read
  kExitUnavailable = 69,  // no server there, or not ready
  kExitVoid = 75,         // load: the client did not keep its schedule; try again elsewhere
  kExitConfig = 78,       // this host or build lacks what was asked for
};

// Lets every option of `command` also be set by an environment variable, TAILOR_ and its name in
// capitals with underscores, and adds --config. Call after the options have been added. (--config
// itself is only a flag: TAILOR_CONFIG belongs to the server.)
void AddEnvironmentAndConfig(CLI::App* command);

// Fills options that neither a flag nor the environment has set from the file that --config names:
// lines "option = value" (flags: true or false), "#" starts a comment line, quotes around a value
// are dropped; keys before the first [section] are for every command, [rank] and [load] for one,
// other sections are skipped. An unknown key is INVALID_ARGUMENT with the nearest name, a file that
// cannot be read NOT_FOUND. Without --config nothing happens.
absl::Status ApplyConfigFile(CLI::App* command);

// Both write "tailor COMMAND: ..." to standard error and return the exit code that fits: for a
// problem found here (options, files), and for a call that was not answered.
int ReportLocalProblem(std::string_view command, const absl::Status& status);
int ReportCallError(std::string_view command, const CallError& error);

}  // namespace tailor::client
