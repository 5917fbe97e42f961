// SPDX-License-Identifier: Apache-2.0
#include "cli/score_command.h"

#include <algorithm>
#include <deque>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/single_variant.h"
#include "client/command_options.h"

#include "base/nearest_name.h"
#include "base/status_macros.h"
#include "engine/model/family_folder.h"
#include "engine/model/json_fields.h"
#include "engine/model/json_text.h"
#include "server/pair_scorer.h"
#include "server/reference_check.h"

namespace tailor {
namespace {

constexpr char kName[] = "score";
constexpr JsonLimits kLineLimits = {.max_bytes = 64 << 20};
constexpr size_t kMaxDocuments = 1'000'000;

absl::StatusOr<const ModelPackage*> FindVariant(const FamilyFolder& family, const std::string& id) {
  std::vector<std::string> ids;
  for (const ModelPackage& package : family.variants) {
    if (package.id == id) return &package;
    ids.push_back(package.id);
  }
  for (const VariantProblem& problem : family.problems) {
    if (problem.name == id) return problem.status;
  }
  const std::string nearest = NearestName(id, ids);
  return absl::NotFoundError(
      absl::StrCat("expected a variant of ", family.path.string(), ", got \"", id, "\"",
                   nearest.empty() ? "; `tailor inspect` lists them"
                                   : absl::StrCat(", did you mean \"", nearest, "\"?")));
}

struct List {
  std::string query;
  std::vector<std::string> documents;
};

absl::StatusOr<List> ParseList(const std::string& line, const std::string& where) {
  const absl::StatusOr<nlohmann::json> parsed = ParseJson(line, kLineLimits);
  if (!parsed.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(where, ": ", parsed.status().message()));
  }
  absl::Status problem;
  const JsonFields fields(*parsed, where, &problem);
  const std::vector<std::string> known = {"query", "documents", "labels"};
  fields.RefuseUnknown(known);
  fields.Require("query");
  fields.Require("documents");
  List list{.query = fields.String("query").value_or("")};
  const nlohmann::json* documents = fields.Array("documents", kMaxDocuments);
  if (documents != nullptr) {
    for (const nlohmann::json& document : *documents) {
      if (!document.is_string()) {
        fields.FailExpected("documents", "an array of texts");
        break;
      }
      list.documents.push_back(document.get<std::string>());
    }
  }
  if (!problem.ok()) return problem;
  return list;
}

// Gives scores back to the lists that they belong to: batches do not end where lists do.
class ScoreWriter {
 public:
  explicit ScoreWriter(std::ostream& out) : out_(out) {}

  void Expect(size_t documents) { sizes_.push_back(documents); }

  // Writes the lists that are complete and drops their scores.
  void Write(std::vector<float>* scores) {
    size_t used = 0;
    std::string lines;
    for (; !sizes_.empty() && used + sizes_.front() <= scores->size(); sizes_.pop_front()) {
      absl::StrAppend(&lines, "{\"scores\": [");
      for (size_t i = 0; i < sizes_.front(); ++i) {
        absl::StrAppendFormat(&lines, "%s%.9g", i == 0 ? "" : ", ", (*scores)[used + i]);
      }
      absl::StrAppend(&lines, "]}\n");
      used += sizes_.front();
    }
    scores->erase(scores->begin(), scores->begin() + static_cast<std::ptrdiff_t>(used));
    out_ << lines;
  }

 private:
  std::ostream& out_;
  std::deque<size_t> sizes_;  // documents of each list that is not written yet
};

}  // namespace

absl::Status ScoreLists(const ScoreOptions& options, std::istream& in, std::ostream& out) {
  TAILOR_ASSIGN_OR_RETURN(const FamilyFolder family, LoadFamilyFolder(options.family));
  TAILOR_ASSIGN_OR_RETURN(const ModelPackage* package, FindVariant(family, options.variant));
  TAILOR_ASSIGN_OR_RETURN(const SingleVariant variant,
                          LoadSingleVariant(*package, options.backend));
  TAILOR_ASSIGN_OR_RETURN(const Tokenizer tokenizer, MakeTokenizer(package->tokenizer));
  PairScorer scorer(package->task, tokenizer, variant.loaded, *variant.backend);
  ScoreWriter writer(out);
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    const std::string where = absl::StrCat("line ", number);
    TAILOR_ASSIGN_OR_RETURN(const List list, ParseList(line, where));
    scorer.SetQuery(list.query);
    writer.Expect(list.documents.size());
    for (const std::string& document : list.documents) {
      TAILOR_ASSIGN_OR_RETURN(const bool fits, scorer.Add(document));
      if (!fits) {
        return absl::InvalidArgumentError(
            absl::StrCat(where, ": expected a pair of at most ",
                         variant.backend->info().limits.max_sequence_tokens, " tokens, got more"));
      }
    }
    writer.Write(&scorer.scores());
  }
  TAILOR_RETURN_IF_ERROR(scorer.Flush());
  writer.Write(&scorer.scores());
  out.flush();
  return out.good() ? absl::OkStatus()
                    : absl::DataLossError("expected to write the scores, the output is closed");
}

void AddScoreCommand(CLI::App& app, int* exit_code) {
  struct Options : ScoreOptions {
    std::string lists = "-";
    std::string family_name;
  };
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand(kName, "Scores lists by one variant, without a server (JSON lines)");
  command->add_option("--family", options->family_name, "A family, or one model folder")
      ->required();
  command->add_option("--variant", options->variant, "The variant that scores")->required();
  command
      ->add_option("--lists", options->lists,
                   "File of lines {\"query\": \"..\", \"documents\": [..]}, - for standard input")
      ->capture_default_str();
  command->add_option("--threads", options->backend.threads, "Engine threads; 0: all cores")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_option("--cpu-isa", options->backend.cpu_isa, "Instruction set, as of `serve`")
      ->capture_default_str();
  const std::vector<std::string> devices(kDeviceNames.begin(), kDeviceNames.end());
  command
      ->add_option_function<std::string>(
          "--device",
          [options](const std::string& name) { options->backend.device = *DeviceNamed(name); },
          "As of `serve`; reference is slow and exact")
      ->check(CLI::IsMember(devices))
      ->default_str("cpu");
  command
      ->add_option("--cuda-device", options->backend.cuda_device, "Which GPU, as CUDA numbers them")
      ->check(CLI::Range(0, 63))
      ->capture_default_str();
  client::AddEnvironmentAndConfig(command);
  command->footer(
      "Exit codes: 0 scored, 64 a wrong option, line or variant, 66 unreadable input or no such "
      "variant, 78 no such device.");
  command->callback([command, options, exit_code] {
    absl::Status status = client::ApplyConfigFile(command);
    options->family = options->family_name;
    std::ifstream file;
    if (status.ok() && options->lists != "-") {
      file.open(options->lists);
      if (!file) status = absl::NotFoundError(absl::StrCat("cannot read ", options->lists));
    }
    if (status.ok()) {
      status = ScoreLists(*options, options->lists == "-" ? std::cin : file, std::cout);
    }
    *exit_code = status.ok() ? 0 : client::ReportLocalProblem(kName, status);
  });
}

}  // namespace tailor
