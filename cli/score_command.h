// SPDX-License-Identifier: Apache-2.0
// `tailor score`: raw scores of many lists by one variant, without a server; for evaluation and
// for making training targets.
#pragma once

#include <filesystem>
#include <istream>
#include <ostream>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"

#include "engine/backend_factory.h"

namespace tailor {

// Registers the sub-command.
void AddScoreCommand(CLI::App& app, int* exit_code);

struct ScoreOptions {
  std::filesystem::path family;
  std::string variant;
  BackendOptions backend;
};

// Reads JSON lines {"query": TEXT, "documents": [TEXT, ...]} ("labels" is allowed, and left alone)
// and writes one line {"scores": [...]} for each, in order: raw scores, one a document. NotFound
// for a variant that the family does not have, InvalidArgument with the line's number for a line
// that is none of these, and what the family and the backend say. What was scored before an error
// has been written.
absl::Status ScoreLists(const ScoreOptions& options, std::istream& in, std::ostream& out);

}  // namespace tailor
