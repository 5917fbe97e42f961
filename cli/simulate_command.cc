// SPDX-License-Identifier: Apache-2.0
#include "cli/simulate_command.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/simulate_report.h"
#include "cli/trace_file.h"
#include "client/command_options.h"
#include "client/schedule.h"

#include "base/nearest_name.h"
#include "base/status_macros.h"
#include "server/pipeline/policies/registry.h"
#include "server/simulator/simulator.h"
#include "server/simulator/traffic.h"

namespace tailor {
namespace {

namespace fs = std::filesystem;

constexpr char kName[] = "simulate";
constexpr int kExitData = 65;  // EX_DATAERR

// What is given as a file rather than as a name.
bool IsPath(const std::string& text) { return text.find_first_of("./") != std::string::npos; }

absl::StatusOr<fs::path> FindProfile(const SimulateOptions& options) {
  if (IsPath(options.profile)) return fs::path(options.profile);
  std::vector<std::string> names;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(options.profiles, ignored)) {
    if (entry.path().extension() != ".json") continue;
    names.push_back(entry.path().stem().string());
    if (names.back() == options.profile) return entry.path();
  }
  std::sort(names.begin(), names.end());
  const std::string nearest = NearestName(options.profile, names);
  return absl::InvalidArgumentError(absl::StrCat(
      "profile: expected a file", names.empty() ? "" : " or one of ", absl::StrJoin(names, ", "),
      " (", options.profiles.string(), "), got \"", options.profile, "\"",
      nearest.empty() ? "" : absl::StrCat("; did you mean \"", nearest, "\"?")));
}

// A file's content that is wrong is no wrong option.
absl::StatusOr<Profile> LoadProfile(const SimulateOptions& options) {
  TAILOR_ASSIGN_OR_RETURN(const fs::path file, FindProfile(options));
  absl::StatusOr<Profile> profile = ReadProfile(file);
  if (absl::IsInvalidArgument(profile.status())) {
    return absl::DataLossError(profile.status().message());
  }
  return profile;
}

absl::StatusOr<std::unique_ptr<RequestSource>> OpenTrace(const SimulateOptions& options,
                                                         Duration run, const Profile& profile) {
  if (IsPath(options.trace)) return TraceFile::Open(options.trace, &profile, options.seed);
  return MakeTraffic(options.trace, &profile,
                     {.load = options.load, .run = run, .seed = options.seed});
}

absl::StatusOr<Duration> CheckOptions(const SimulateOptions& options) {
  TAILOR_RETURN_IF_ERROR(CheckPolicyName(options.policy));
  constexpr double kMaxLoad = 1000;
  if (!(options.load > 0 && options.load <= kMaxLoad)) {
    return absl::InvalidArgumentError(
        absl::StrCat("load: expected above 0 and at most ", kMaxLoad, ", got ", options.load));
  }
  if (!(options.noise >= 0 && options.noise <= 1)) {
    return absl::InvalidArgumentError(absl::StrCat("noise: expected 0 to 1, got ", options.noise));
  }
  absl::StatusOr<Duration> run = client::ParseDuration(options.duration);
  if (!run.ok() || *run <= Duration::zero()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "duration: expected a time above 0 such as 60s, got \"", options.duration, "\""));
  }
  return run;
}

absl::StatusOr<std::string> Simulated(const SimulateOptions& options) {
  TAILOR_ASSIGN_OR_RETURN(const Duration run, CheckOptions(options));
  SimulationOptions simulation{.policy = options.policy,
                               .noise = options.noise,
                               .run = run,
                               .seed = options.seed,
                               .has_backstop = !options.no_backstop,
                               .time_decisions = options.decision_time};
  TAILOR_ASSIGN_OR_RETURN(simulation.fault, ParseEngineFault(options.fault));
  TAILOR_ASSIGN_OR_RETURN(const Profile profile, LoadProfile(options));
  TAILOR_ASSIGN_OR_RETURN(const std::unique_ptr<RequestSource> trace,
                          OpenTrace(options, run, profile));
  RequestSource* source = trace.get();
  std::ofstream record;
  RecordingSource recording(source, &record);
  if (!options.record.empty()) {
    record.open(options.record, std::ios::trunc);
    if (!record) {
      return absl::NotFoundError(
          absl::StrCat("record ", options.record.string(), ": cannot be written"));
    }
    source = &recording;
  }
  TAILOR_ASSIGN_OR_RETURN(const SimulationResult result, Simulate(profile, source, simulation));
  const SimulateReport report{.options = options, .profile = profile, .result = result};
  return options.as_json ? SimulateJson(report) : SimulateText(report);
}

int ExitCodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kDataLoss:
      return kExitData;
    case absl::StatusCode::kNotFound:
      return client::kExitNoInput;
    default:
      return client::kExitUsage;
  }
}

void AddOptions(CLI::App* command, SimulateOptions* options) {
  std::vector<std::string> traces;
  for (const TrafficName& name : TrafficNames()) traces.push_back(name.name);
  command->add_option("--profile", options->profile, "A profile's file, or its name in --profiles");
  command->add_option("--profiles", options->profiles, "Folder of profiles")->capture_default_str();
  command->add_option("--trace", options->trace,
                      absl::StrCat("A file of lines SECONDS [BUDGET [DOCUMENTS]], or ",
                                   absl::StrJoin(traces, ", ")));
  command->add_option("--policy", options->policy, PolicyNames())->capture_default_str();
  command
      ->add_option("--load", options->load,
                   "Of a generated trace; 1 keeps the profile's capacity cut busy")
      ->capture_default_str();
  command->add_option("--duration", options->duration, "Length of a generated trace")
      ->capture_default_str();
  command->add_option("--seed", options->seed, "Of the trace and of the engine")
      ->capture_default_str();
  command->add_option("--noise", options->noise, "Deviation of the logarithm of a batch's time")
      ->capture_default_str();
  command->add_option("--fault", options->fault, absl::StrJoin(EngineFaultNames(), ", "))
      ->capture_default_str();
  command->add_option("--record", options->record,
                      "Write the requests to a file, a line SECONDS BUDGET_SECONDS DOCUMENTS "
                      "TOKENS SQUARES each");
  command->add_flag("--no-backstop", options->no_backstop,
                    "Without the rule against a standing queue, to see what it does");
  command->add_flag("--decision-time", options->decision_time,
                    "Also take this machine's time for each choice, which no seed repeats");
  command->add_flag("--by-second", options->by_second, "JSON: also what was met each second");
  command->add_flag("--json", options->as_json, "JSON (the default when not on a terminal)");
}

}  // namespace

int RunSimulation(const SimulateOptions& options, std::ostream& out, std::ostream& error) {
  const absl::StatusOr<std::string> text = Simulated(options);
  if (text.ok()) {
    out << *text;
    return client::kExitOk;
  }
  error << "tailor " << kName << ": " << text.status().message() << "\n";
  return ExitCodeOf(text.status());
}

void AddSimulateCommand(CLI::App& app, int* exit_code) {
  CLI::App* command =
      app.add_subcommand(kName, "Try a policy on a profile and a trace, without a server");
  auto options = std::make_shared<SimulateOptions>();
  AddOptions(command, options.get());
  auto as_text = std::make_shared<bool>(false);
  command->add_flag("--text", *as_text, "Text (the default on a terminal)");
  client::AddEnvironmentAndConfig(command);
  command->footer(
      "The same options and seed print the same bytes, but for --decision-time. Exit codes: 0 "
      "done, "
      "64 a wrong option, 65 a file that is no profile or trace, 66 an unreadable file.");
  command->callback([command, options, as_text, exit_code] {
    if (const absl::Status status = client::ApplyConfigFile(command); !status.ok()) {
      *exit_code = client::ReportLocalProblem(kName, status);
      return;
    }
    options->as_json = options->as_json || (!*as_text && isatty(STDOUT_FILENO) == 0);
    *exit_code = RunSimulation(*options, std::cout, std::cerr);
  });
}

}  // namespace tailor
