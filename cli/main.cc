// SPDX-License-Identifier: Apache-2.0
// The one binary: `tailor serve`, `rank`, `load`, `explain`, `score`, `simulate`, `inspect`,
// `health`.
#include <algorithm>
#include <cstdio>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "cli/health_command.h"
#include "cli/inspect_command.h"
#include "cli/score_command.h"
#include "cli/simulate_command.h"
#include "client/explain_command.h"
#include "client/load_command.h"
#include "client/rank_command.h"

#include "base/nearest_name.h"
#include "server/serve.h"
#include "server/serve_command.h"

namespace {

std::vector<std::string> CommandNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(command->get_name());
  }
  return names;
}

std::vector<std::string> FlagNames(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

// What is wrong with a name that is none of `known`; nothing when it is one of them.
std::optional<std::string> UnknownName(const std::string& kind, const std::string& name,
                                       const std::vector<std::string>& known) {
  if (std::find(known.begin(), known.end(), name) != known.end()) return std::nullopt;
  const std::string nearest = tailor::NearestName(name, known);
  return "unknown " + kind + " \"" + name + "\"" +
         (nearest.empty() ? "" : ", did you mean \"" + nearest + "\"?");
}

// CLI11 reports what it cannot use without saying what was meant, so names are looked at first.
// arguments: what follows the sub-command.
std::optional<std::string> UnknownFlag(const CLI::App& command,
                                       std::span<const std::string> arguments) {
  const std::vector<std::string> known = FlagNames(command);
  for (const std::string& argument : arguments) {
    if (argument == "--") break;
    if (!argument.starts_with("--")) continue;
    auto problem = UnknownName("flag", argument.substr(0, argument.find('=')), known);
    if (problem) return problem;
  }
  return std::nullopt;
}

int Complain(const std::string& who, const std::string& problem, int exit_code) {
  std::fprintf(stderr, "%s: %s\n", who.c_str(), problem.c_str());
  return exit_code;
}

int Run(CLI::App& app, const std::vector<std::string>& arguments, int* exit_code) {
  std::string who = "tailor";
  int usage = tailor::kExitUsage;
  if (!arguments.empty() && !arguments[0].starts_with("-")) {
    const auto unknown = UnknownName("command", arguments[0], CommandNames(app));
    if (unknown) return Complain(who, *unknown, usage);
    who += " " + arguments[0];
    // What is wrong with the server's options is wrong with its configuration.
    if (arguments[0] == "serve") usage = tailor::kExitConfig;
    const auto flag = UnknownFlag(*app.get_subcommand(arguments[0]),
                                  std::span<const std::string>(arguments).subspan(1));
    if (flag) return Complain(who, *flag, usage);
  }
  try {
    // CLI11 takes them from the back.
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::Success& success) {
    return app.exit(success);  // --help, --version
  } catch (const CLI::ParseError& error) {
    return Complain(who, error.what(), usage);
  }
  return *exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Ranks documents for a query within a latency budget.", "tailor");
  app.set_version_flag("--version", "tailor " TAILOR_VERSION);
  app.require_subcommand(1);
  int exit_code = tailor::kExitOk;
  tailor::AddServeCommand(app, &exit_code);
  tailor::AddRankCommand(app, &exit_code);
  tailor::AddLoadCommand(app, &exit_code);
  tailor::AddExplainCommand(app, &exit_code);
  tailor::AddScoreCommand(app, &exit_code);
  tailor::AddSimulateCommand(app, &exit_code);
  tailor::AddInspectCommand(app, &exit_code);
  tailor::AddHealthCommand(app, &exit_code);
  return Run(app, std::vector<std::string>(argv + 1, argv + argc), &exit_code);
}
