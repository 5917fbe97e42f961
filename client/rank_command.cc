// SPDX-License-Identifier: Apache-2.0
#include "client/rank_command.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/client.h"
#include "client/command_options.h"
#include "client/rank_report.h"
#include "client/schedule.h"
#include "client/terminal.h"
#include "client/texts.h"

#include "base/status_macros.h"

namespace tailor {
namespace client {
namespace {

constexpr char kName[] = "rank";
constexpr Duration kConnectTimeout = std::chrono::seconds(5);

struct RankOptions {
  std::string server = "127.0.0.1:50051";
  std::string query;
  std::string documents = "-";
  std::string budget;
  std::string variant;
  std::string cascade = "auto";
  double min_quality = 0;
  int top = 10;
  int priority = 0;
  int attempts = 1;
  bool raw = false;
  bool json = false;
  bool text = false;
};

void AddOptions(CLI::App* command, RankOptions* options) {
  command->add_option("--server", options->server, "Address of the server")->capture_default_str();
  command->add_option("-q,--query", options->query, "What to look for (required)");
  command
      ->add_option("--documents", options->documents,
                   "File with one document a line, - for standard input; an empty line is an empty "
                   "document")
      ->capture_default_str();
  command->add_option("--budget", options->budget,
                      "Time allowed, e.g. 20ms (default: the server's)");
  command->add_option("--variant", options->variant, "Pin a variant (default: the server chooses)");
  command->add_option("--min-quality", options->min_quality,
                      "Only variants of at least this quality (nDCG@10)");
  command
      ->add_option("--cascade", options->cascade,
                   "auto: the best documents may be scored again by a better variant; off: one "
                   "variant scores all")
      ->check(CLI::IsMember({"auto", "off"}))
      ->capture_default_str();
  command->add_option("--top", options->top, "Show the best N; 0: all")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_option("--priority", options->priority, "0 to 2; 2 is the last to be refused")
      ->capture_default_str();
  command
      ->add_option("--attempts", options->attempts,
                   "Tries when the server is overloaded and says when to come back")
      ->capture_default_str();
  command->add_flag("--raw", options->raw, "Logits instead of what the model is meant to give");
  command->add_flag("--json", options->json, "JSON (the default when not on a terminal)");
  command->add_flag("--text", options->text, "A table (the default on a terminal)");
  AddEnvironmentAndConfig(command);
  command->footer(
      "Exit codes: 0 answered, 1 refused or failed, 64 a wrong option, 66 unreadable input, 69 no "
      "server there or not ready.");
}

absl::StatusOr<CallOptions> ToCallOptions(const RankOptions& options) {
  CallOptions call;
  if (!options.budget.empty()) {
    const absl::StatusOr<Duration> budget = ParseDuration(options.budget);
    // Zero would mean "no budget" on the wire.
    if (!budget.ok() || *budget < std::chrono::microseconds(1)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--budget: expected a duration such as 20ms or 1.5s, got \"", options.budget, "\""));
    }
    call.budget = *budget;
  }
  call.variant = options.variant;
  call.min_quality = options.min_quality;
  call.priority = options.priority;
  return call;
}

int RunRank(CLI::App* command, const RankOptions& options) {
  if (const absl::Status status = ApplyConfigFile(command); !status.ok()) {
    return ReportLocalProblem(kName, status);
  }
  if (command->get_option("--query")->count() == 0) {
    return ReportLocalProblem(kName, absl::InvalidArgumentError("--query is required"));
  }
  const absl::StatusOr<CallOptions> call_options = ToCallOptions(options);
  if (!call_options.ok()) return ReportLocalProblem(kName, call_options.status());
  if (options.documents == "-" && isatty(STDIN_FILENO) != 0) {
    std::fputs("one document a line, Ctrl-D ends\n", stderr);
  }
  const auto documents = ReadLines(options.documents);
  if (!documents.ok()) return ReportLocalProblem(kName, documents.status());

  RankCall call;
  call.query = options.query;
  call.documents.assign(documents->begin(), documents->end());
  call.options = *call_options;
  call.top_n = options.top;
  call.may_cascade = options.cascade != "off";
  call.scale = options.raw ? ScoreScale::kRaw : ScoreScale::kModel;
  ClientOptions client_options;
  client_options.server = options.server;
  client_options.retry.max_attempts = options.attempts;
  Client client(client_options);
  const absl::Status connected = client.Connect(kConnectTimeout);
  const auto start = std::chrono::steady_clock::now();
  const absl::StatusOr<RankResult> result =
      connected.ok() ? client.Rank(call) : absl::StatusOr<RankResult>(connected);
  const Duration round_trip = std::chrono::steady_clock::now() - start;

  const bool as_json = options.json || (!options.text && isatty(STDOUT_FILENO) == 0);
  if (!result.ok()) {
    const CallError error = GetCallError(result.status());
    if (as_json) std::fputs(ErrorJson(error).c_str(), stdout);
    return ReportCallError(kName, error);
  }
  const RankReport report{*result, &*documents, round_trip};
  const std::string output = as_json ? RankJson(report) : RankTable(report, TerminalColumns());
  std::fputs(output.c_str(), stdout);
  return kExitOk;
}

}  // namespace
}  // namespace client

void AddRankCommand(CLI::App& app, int* exit_code) {
  CLI::App* command = app.add_subcommand(client::kName, "Rank documents for a query");
  auto options = std::make_shared<client::RankOptions>();
  client::AddOptions(command, options.get());
  command->callback(
      [command, options, exit_code] { *exit_code = client::RunRank(command, *options); });
}

}  // namespace tailor
