// SPDX-License-Identifier: Apache-2.0
#include "client/load_command.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/command_options.h"
#include "client/load_generator.h"
#include "client/load_progress.h"
#include "client/load_records.h"
#include "client/load_report.h"
#include "client/load_statistics.h"
#include "client/schedule.h"
#include "client/texts.h"

#include "base/status_macros.h"

namespace tailor {
namespace client {
namespace {

constexpr char kName[] = "load";
constexpr int kSyntheticDocuments = 4096;
constexpr int kSyntheticQueries = 512;
constexpr Duration kConnectTimeout = std::chrono::seconds(5);

struct LoadOptions {
  LoadTarget target;
  double rate = 0;
  int concurrency = 0;
  std::string duration = "30s";
  std::string warmup = "2s";
  std::string budget = "none";
  std::string arrivals = "poisson";
  std::string trace;
  std::string record;
  int documents_per_call = 32;
  std::string documents;
  std::string queries;
  uint64_t seed = 1;
  bool json = false;
  bool text = false;
  bool quiet = false;
};

void AddLoadShape(CLI::App* command, LoadOptions* options) {
  command->add_option("--rate", options->rate, "Open loop: calls a second");
  command->add_option("--concurrency", options->concurrency,
                      "Closed loop: calls under way at any time, to find the capacity");
  command->add_option("--trace", options->trace,
                      "Open loop: replays a file of lines SECONDS [BUDGET [DOCUMENTS]]");
  command
      ->add_option("--duration", options->duration,
                   "Length of the run, warm-up included (a trace: all of it unless given)")
      ->capture_default_str();
  command->add_option("--warmup", options->warmup, "Start of the run that is not measured")
      ->capture_default_str();
  command
      ->add_option("--budget", options->budget,
                   "Budgets and their shares, e.g. 20ms:0.5,50ms:0.5; none: the server's default")
      ->capture_default_str();
  command->add_option("--arrivals", options->arrivals, "poisson, constant or gamma:CV2")
      ->capture_default_str();
  command->add_option("--seed", options->seed, "Of the schedule and the texts")
      ->capture_default_str();
}

void AddLoadContent(CLI::App* command, LoadOptions* options) {
  command->add_option("--server", options->target.server, "Address of the server")
      ->capture_default_str();
  command->add_option("--documents-per-call", options->documents_per_call, "Documents a call")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_option("--documents", options->documents,
                      "File with one document a line (default: synthetic, log-normal lengths with "
                      "median 50 and 95th percentile 160 words)");
  command->add_option("--queries", options->queries,
                      "File with one query a line (default: synthetic, median 7 words)");
  command->add_option("--variant", options->target.options.variant, "Pin a variant");
  command->add_option("--min-quality", options->target.options.min_quality,
                      "Only variants of at least this quality (nDCG@10)");
  command->add_option("--priority", options->target.options.priority, "0 to 2")
      ->capture_default_str();
  command->add_option("--connections", options->target.connections, "Connections, used in turn")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  command
      ->add_option("--max-in-flight", options->target.max_in_flight,
                   "Open loop: a call that would be one more is not sent and the run is void")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--record", options->record,
                      "Write the calls to a file, a line of JSON each");
  command->add_flag("--json", options->json, "JSON (the default when not on a terminal)");
  command->add_flag("--text", options->text, "Text (the default on a terminal)");
  command->add_flag("--quiet", options->quiet, "No progress on standard error");
}

// A checked run: what to send, and what to say of it.
struct LoadPlan {
  std::vector<PlannedCall> calls;  // open loop
  RunInfo run;
  LoadSettings settings;
};

absl::Status Named(absl::string_view option, const absl::Status& status) {
  return absl::InvalidArgumentError(absl::StrCat(option, ": ", status.message()));
}

absl::StatusOr<ScheduleSpec> MakeSpec(const LoadOptions& options) {
  ScheduleSpec spec;
  auto duration = ParseDuration(options.duration);
  if (!duration.ok()) return Named("--duration", duration.status());
  auto budgets = ParseBudgetMix(options.budget);
  if (!budgets.ok()) return Named("--budget", budgets.status());
  auto arrivals = ParseArrivals(options.arrivals);
  if (!arrivals.ok()) return Named("--arrivals", arrivals.status());
  spec.rate = options.rate;
  spec.duration = *duration;
  spec.arrivals = *arrivals;
  spec.budgets = *std::move(budgets);
  spec.documents_per_call = options.documents_per_call;
  spec.seed = options.seed;
  return spec;
}

absl::Status PlanTrace(const LoadOptions& options, bool has_duration, ScheduleSpec spec,
                       LoadPlan* plan) {
  TAILOR_ASSIGN_OR_RETURN(const std::string content, ReadInput(options.trace));
  if (!has_duration) spec.duration = Duration::zero();
  absl::StatusOr<Trace> trace = ParseTrace(content, spec);
  if (!trace.ok()) return Named("--trace", trace.status());
  plan->calls = std::move(trace->calls);
  plan->run.budgets = std::move(trace->budgets);
  // The last call belongs to the run.
  plan->run.duration =
      has_duration ? spec.duration : plan->calls.back().offset + std::chrono::nanoseconds(1);
  plan->settings.arrivals = absl::StrCat("trace ", options.trace);
  return absl::OkStatus();
}

absl::StatusOr<LoadPlan> MakePlan(const LoadOptions& options, bool has_duration) {
  const int ways = (options.rate != 0) + (options.concurrency != 0) + !options.trace.empty();
  if (ways != 1 || options.rate < 0 || options.concurrency < 0 || options.concurrency > 10'000) {
    return absl::InvalidArgumentError(
        "expected exactly one of --rate CALLS_PER_SECOND, --concurrency N (at most 10000) and "
        "--trace FILE");
  }
  TAILOR_ASSIGN_OR_RETURN(const ScheduleSpec spec, MakeSpec(options));
  const auto warmup = ParseDuration(options.warmup);
  if (!warmup.ok()) return Named("--warmup", warmup.status());
  LoadPlan plan;
  plan.run = {options.concurrency == 0, *warmup, spec.duration, spec.budgets};
  plan.settings.arrivals = options.arrivals;
  if (!options.trace.empty()) {
    TAILOR_RETURN_IF_ERROR(PlanTrace(options, has_duration, spec, &plan));
  } else if (options.rate > 0) {
    TAILOR_ASSIGN_OR_RETURN(plan.calls, BuildSchedule(spec));
  } else {
    plan.settings.arrivals = "";
  }
  if (plan.run.warmup >= plan.run.duration) {
    return absl::InvalidArgumentError("--warmup: expected less than the length of the run");
  }
  plan.settings.server = options.target.server;
  plan.settings.mode = plan.run.open_loop ? "open" : "closed";
  plan.settings.rate = options.rate;
  plan.settings.concurrency = options.concurrency;
  plan.settings.duration = plan.run.duration;
  plan.settings.warmup = plan.run.warmup;
  plan.settings.documents_per_call = options.documents_per_call;
  plan.settings.documents = options.documents.empty() ? "synthetic" : options.documents;
  plan.settings.variant = options.target.options.variant;
  plan.settings.seed = options.seed;
  return plan;
}

absl::StatusOr<TextPool> MakeTexts(const LoadOptions& options) {
  auto queries = SyntheticQueries(kSyntheticQueries, options.seed);
  auto documents = SyntheticDocuments(kSyntheticDocuments, options.seed);
  if (!options.queries.empty()) {
    TAILOR_ASSIGN_OR_RETURN(queries, ReadLines(options.queries));
  }
  if (!options.documents.empty()) {
    TAILOR_ASSIGN_OR_RETURN(documents, ReadLines(options.documents));
  }
  if (queries.empty() || documents.empty()) {
    return absl::InvalidArgumentError("--queries, --documents: expected at least one line each");
  }
  return TextPool(std::move(queries), std::move(documents), options.seed);
}

std::vector<CallRecord> Run(const LoadOptions& options, const LoadPlan& plan,
                            LoadGenerator* generator) {
  std::optional<LoadProgressDisplay> display;
  if (!options.quiet) {
    display.emplace(plan.run.duration, [generator] { return generator->Progress(); });
  }
  if (plan.run.open_loop) return generator->RunOpenLoop(plan.calls);
  return generator->RunClosedLoop(options.concurrency, options.documents_per_call,
                                  plan.run.duration, options.seed);
}

int RunLoad(CLI::App* command, const LoadOptions& options) {
  if (const absl::Status status = ApplyConfigFile(command); !status.ok()) {
    return ReportLocalProblem(kName, status);
  }
  const auto plan = MakePlan(options, command->get_option("--duration")->count() > 0);
  if (!plan.ok()) return ReportLocalProblem(kName, plan.status());
  absl::StatusOr<TextPool> texts = MakeTexts(options);
  if (!texts.ok()) return ReportLocalProblem(kName, texts.status());

  LoadGenerator generator(options.target, plan->run.budgets, *std::move(texts));
  if (const absl::Status status = generator.Connect(kConnectTimeout); !status.ok()) {
    return ReportLocalProblem(kName, status);
  }
  const std::vector<CallRecord> records = Run(options, *plan, &generator);
  const LoadSummary summary = Summarize(records, plan->run);
  const bool as_json = options.json || (!options.text && isatty(STDOUT_FILENO) == 0);
  const std::string output =
      as_json ? LoadJson(plan->settings, summary) : LoadText(plan->settings, summary);
  std::fputs(output.c_str(), stdout);
  if (!options.record.empty()) {
    const absl::Status written = WriteRecords(options.record, records, plan->run);
    if (!written.ok()) return ReportLocalProblem(kName, written);
  }
  if (summary.answered == 0) return kExitNotAnswered;
  return summary.problems.empty() ? kExitOk : kExitVoid;
}

}  // namespace
}  // namespace client

void AddLoadCommand(CLI::App& app, int* exit_code) {
  CLI::App* command =
      app.add_subcommand(client::kName, "Put a server under load and say how it did");
  auto options = std::make_shared<client::LoadOptions>();
  client::AddLoadShape(command, options.get());
  client::AddLoadContent(command, options.get());
  client::AddEnvironmentAndConfig(command);
  command->footer(
      "Open-loop latency counts from the intended send time. Exit codes: 0 measured, 1 no call was "
      "answered, 64 a wrong option, 66 unreadable input, 69 no server there, 75 the run is void "
      "because the client did not keep its schedule.");
  command->callback(
      [command, options, exit_code] { *exit_code = client::RunLoad(command, *options); });
}

}  // namespace tailor
