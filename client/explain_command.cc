// SPDX-License-Identifier: Apache-2.0
#include "client/explain_command.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "client/call_error.h"
#include "client/command_options.h"
#include "client/schedule.h"
#include "client/terminal.h"
#include "grpcpp/grpcpp.h"
#include "nlohmann/json.hpp"

#include "base/status_macros.h"
#include "tailor/v1/admin.grpc.pb.h"

namespace tailor {
namespace client {
namespace {

constexpr char kName[] = "explain";
constexpr int kMaxDocuments = 100000;
constexpr std::chrono::seconds kTimeout(5);

struct ExplainOptions {
  std::string server = "127.0.0.1:50051";
  std::string budget;
  std::string lengths;
  std::string variant;
  double min_quality = 0;
  bool json = false;
  bool text = false;
};

void AddOptions(CLI::App* command, ExplainOptions* options) {
  command->add_option("--server", options->server, "Address of the server")->capture_default_str();
  command->add_option("--budget", options->budget, "Time allowed, e.g. 20ms (required)");
  command->add_option("--lengths", options->lengths,
                      "Tokens of each pair of query and document, special tokens included: 84,120 "
                      "or 32x84 for 32 of them (required)");
  command->add_option("--variant", options->variant, "Pin a variant (default: the server chooses)");
  command->add_option("--min-quality", options->min_quality,
                      "Only variants of at least this quality (nDCG@10)");
  command->add_flag("--json", options->json, "JSON (the default when not on a terminal)");
  command->add_flag("--text", options->text, "A table (the default on a terminal)");
  AddEnvironmentAndConfig(command);
  command->footer(
      "Exit codes: 0 explained (also that it would be refused), 1 failed, 64 a wrong option, 69 no "
      "server there or not ready.");
}

absl::StatusOr<v1::ExplainRequest> ToRequest(const ExplainOptions& options) {
  const absl::StatusOr<Duration> budget = ParseDuration(options.budget);
  if (!budget.ok() || *budget < std::chrono::microseconds(1)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--budget: expected a duration such as 20ms or 1.5s, got \"", options.budget, "\""));
  }
  TAILOR_ASSIGN_OR_RETURN(const std::vector<int> lengths, ParseLengths(options.lengths));
  v1::ExplainRequest request;
  request.mutable_lengths()->Add(lengths.begin(), lengths.end());
  request.set_latency_budget_us(
      std::chrono::duration_cast<std::chrono::microseconds>(*budget).count());
  request.set_variant(options.variant);
  request.set_min_quality(options.min_quality);
  return request;
}

absl::StatusOr<v1::ExplainResponse> CallServer(const std::string& server,
                                               const v1::ExplainRequest& request) {
  const auto stub =
      v1::Admin::NewStub(grpc::CreateChannel(server, grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kTimeout);
  v1::ExplainResponse response;
  const grpc::Status status = stub->Explain(&context, request, &response);
  if (!status.ok()) {
    return MakeCallStatus(status.error_code(), status.error_message(), status.error_details());
  }
  return response;
}

double Millis(int64_t micros) { return static_cast<double>(micros) * 1e-3; }

std::string ToTable(const v1::ExplainResponse& response) {
  std::string table =
      absl::StrFormat("%-32s %8s %12s  %s\n", "variant", "quality", "predicted", "");
  for (const v1::Candidate& candidate : response.candidates()) {
    const bool is_chosen = candidate.variant() == response.variant();
    absl::StrAppendFormat(&table, "%-32s %8.4f %9.2f ms  %s%s\n",
                          FitColumns(candidate.variant(), 32), candidate.quality(),
                          Millis(candidate.predicted_us()), is_chosen ? "* " : "",
                          FitColumns(candidate.why(), 80));
  }
  if (response.variant().empty()) {
    absl::StrAppendFormat(&table, "refused: %s\n", FitColumns(response.reason(), 200));
  } else {
    const std::string second =
        response.second_variant().empty()
            ? ""
            : absl::StrCat(", then ", FitColumns(response.second_variant(), 64),
                           " on the best documents");
    absl::StrAppendFormat(&table, "chosen: %s%s (%s), predicted %.2f ms\n",
                          FitColumns(response.variant(), 64), second,
                          FitColumns(response.reason(), 32), Millis(response.predicted_us()));
  }
  absl::StrAppendFormat(&table, "smallest feasible budget: %.2f ms\n",
                        Millis(response.smallest_feasible_budget_us()));
  return table;
}

std::string ToJson(const v1::ExplainResponse& response) {
  nlohmann::ordered_json candidates = nlohmann::ordered_json::array();
  for (const v1::Candidate& candidate : response.candidates()) {
    candidates.push_back({{"variant", candidate.variant()},
                          {"quality", candidate.quality()},
                          {"predicted_ms", Millis(candidate.predicted_us())},
                          {"eligible", candidate.eligible()},
                          {"why", candidate.why()}});
  }
  const nlohmann::ordered_json json = {
      {"variant", response.variant()},
      {"second_variant", response.second_variant()},
      {"reason", response.reason()},
      {"predicted_ms", Millis(response.predicted_us())},
      {"smallest_feasible_budget_ms", Millis(response.smallest_feasible_budget_us())},
      {"candidates", std::move(candidates)}};
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

int RunExplain(CLI::App* command, const ExplainOptions& options) {
  if (const absl::Status status = ApplyConfigFile(command); !status.ok()) {
    return ReportLocalProblem(kName, status);
  }
  const absl::StatusOr<v1::ExplainRequest> request = ToRequest(options);
  if (!request.ok()) return ReportLocalProblem(kName, request.status());
  const absl::StatusOr<v1::ExplainResponse> response = CallServer(options.server, *request);
  if (!response.ok()) return ReportCallError(kName, GetCallError(response.status()));
  const bool as_json = options.json || (!options.text && isatty(STDOUT_FILENO) == 0);
  std::fputs((as_json ? ToJson(*response) : ToTable(*response)).c_str(), stdout);
  return kExitOk;
}

}  // namespace

absl::StatusOr<std::vector<int>> ParseLengths(const std::string& text) {
  const auto problem = [&] {
    return absl::InvalidArgumentError(
        absl::StrCat("--lengths: expected tokens such as 84,120 or 32x84, at most ", kMaxDocuments,
                     " documents, got \"", text, "\""));
  };
  std::vector<int> lengths;
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    const std::vector<absl::string_view> factors = absl::StrSplit(part, 'x');
    int count = 1;
    int length = 0;
    const bool is_number = factors.size() <= 2 && absl::SimpleAtoi(factors.back(), &length) &&
                           (factors.size() == 1 || absl::SimpleAtoi(factors[0], &count));
    if (!is_number || length < 1 || count < 1 ||
        count > kMaxDocuments - static_cast<int>(lengths.size())) {
      return problem();
    }
    lengths.insert(lengths.end(), static_cast<size_t>(count), length);
  }
  return lengths;
}

}  // namespace client

void AddExplainCommand(CLI::App& app, int* exit_code) {
  CLI::App* command =
      app.add_subcommand(client::kName, "Say which variant a server would take, and why");
  auto options = std::make_shared<client::ExplainOptions>();
  client::AddOptions(command, options.get());
  command->callback(
      [command, options, exit_code] { *exit_code = client::RunExplain(command, *options); });
}

}  // namespace tailor
