// SPDX-License-Identifier: Apache-2.0
#include "client/command_options.h"

#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "client/call_error.h"
#include "client/texts.h"

#include "base/nearest_name.h"
#include "base/status_macros.h"

namespace tailor::client {
namespace {

constexpr char kConfigOption[] = "--config";

std::string LongName(const CLI::Option& option) {
  return option.get_lnames().empty() ? "" : option.get_lnames().front();
}

bool IsSettable(const std::string& name) { return !name.empty() && name != "help"; }

std::string_view Unquoted(std::string_view value) {
  if (value.size() >= 2 && (value.front() == '"' || value.front() == '\'') &&
      value.back() == value.front()) {
    return value.substr(1, value.size() - 2);
  }
  return value;
}

// One "option = value" line.
absl::Status ApplyLine(CLI::App* command, absl::string_view line) {
  const std::vector<absl::string_view> parts = absl::StrSplit(line, absl::MaxSplits('=', 1));
  const std::string key(absl::StripAsciiWhitespace(parts[0]));
  if (parts.size() != 2) {
    return absl::InvalidArgumentError(absl::StrCat("expected OPTION = VALUE, got \"", line, "\""));
  }
  const absl::string_view trimmed = absl::StripAsciiWhitespace(parts[1]);
  const std::string value(Unquoted({trimmed.data(), trimmed.size()}));
  CLI::Option* const option =
      IsSettable(key) && key != "config" ? command->get_option_no_throw("--" + key) : nullptr;
  if (option == nullptr) {
    std::vector<std::string> known;
    for (const CLI::Option* each : command->get_options()) known.push_back(LongName(*each));
    const std::string nearest = NearestName(key, known);
    return absl::InvalidArgumentError(
        absl::StrCat("unknown option \"", key, "\"",
                     nearest.empty() ? "" : absl::StrCat(", did you mean \"", nearest, "\"?")));
  }
  if (option->count() > 0) return absl::OkStatus();  // set by a flag or the environment
  try {
    option->add_result(value);
    option->run_callback();
  } catch (const CLI::Error& error) {
    return absl::InvalidArgumentError(error.what());
  }
  return absl::OkStatus();
}

void Print(std::string_view command, const std::string& line) {
  std::fprintf(stderr, "tailor %.*s: %s\n", static_cast<int>(command.size()), command.data(),
               line.c_str());
}

}  // namespace

void AddEnvironmentAndConfig(CLI::App* command) {
  for (CLI::Option* option : command->get_options()) {
    const std::string name = LongName(*option);
    if (!IsSettable(name)) continue;
    option->envname(
        absl::StrCat("TAILOR_", absl::AsciiStrToUpper(absl::StrReplaceAll(name, {{"-", "_"}}))));
  }
  command->add_option(kConfigOption, "File with option = value lines")->type_name("FILE");
}

absl::Status ApplyConfigFile(CLI::App* command) {
  const CLI::Option* const config = command->get_option(kConfigOption);
  if (config->count() == 0) return absl::OkStatus();
  const std::string path = config->as<std::string>();
  TAILOR_ASSIGN_OR_RETURN(const std::vector<std::string> lines, ReadLines(path));
  bool is_mine = true;
  for (size_t i = 0; i < lines.size(); ++i) {
    const absl::string_view line = absl::StripAsciiWhitespace(lines[i]);
    if (line.empty() || line.front() == '#') continue;
    if (line.front() == '[' && line.back() == ']') {
      is_mine = line.substr(1, line.size() - 2) == command->get_name();
      continue;
    }
    if (!is_mine) continue;
    if (const absl::Status status = ApplyLine(command, line); !status.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(path, ":", i + 1, ": ", status.message()));
    }
  }
  return absl::OkStatus();
}

int ReportLocalProblem(std::string_view command, const absl::Status& status) {
  CallError error;
  error.message = std::string(status.message());
  Print(command, error.ToLine());
  switch (status.code()) {
    case absl::StatusCode::kNotFound:
      return kExitNoInput;
    case absl::StatusCode::kUnavailable:
      return kExitUnavailable;
    case absl::StatusCode::kFailedPrecondition:
      return kExitConfig;
    default:
      return kExitUsage;
  }
}

int ReportCallError(std::string_view command, const CallError& error) {
  Print(command, error.ToLine());
  return error.code == absl::StatusCode::kUnavailable ? kExitUnavailable : kExitNotAnswered;
}

}  // namespace tailor::client
