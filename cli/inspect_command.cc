// SPDX-License-Identifier: Apache-2.0
#include "cli/inspect_command.h"

#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "cli/inspect_report.h"

#include "engine/backend_factory.h"
#include "engine/model/family_folder.h"

namespace tailor {
namespace {

constexpr int kExitGood = 0;
constexpr int kExitProblems = 1;
constexpr int kExitNothing = 78;  // EX_CONFIG, as `tailor serve` on such a folder

}  // namespace

int Inspect(const std::filesystem::path& folder, const InspectOptions& options, std::ostream& out,
            std::ostream& error) {
  const absl::StatusOr<FamilyFolder> family = LoadFamilyFolder(folder);
  if (!family.ok()) {
    error << "tailor inspect: " << family.status().message() << "\n";
    return kExitNothing;
  }
  std::vector<VerifiedVariant> verified;
  if (options.verify) verified = VerifyFamily(*family);
  if (options.as_json) {
    out << InspectJson(*family, options.verify ? &verified : nullptr) << std::flush;
  } else {
    out << InspectTable(*family) << VerifyTable(verified) << "backends: " << BackendSummary()
        << std::endl;
  }
  if (family->variants.empty()) return kExitNothing;
  return family->problems.empty() && AllVerified(verified) ? kExitGood : kExitProblems;
}

void AddInspectCommand(CLI::App& app, int* exit_code) {
  struct Options : InspectOptions {
    std::string folder;
  };
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "inspect", "Shows the variants of a family folder, and what is wrong with it");
  command->add_option("DIR", options->folder, "A family, or one model folder")->required();
  command->add_flag("--json", options->as_json, "One JSON object instead of a table");
  command->add_flag("--verify", options->verify,
                    "Runs every variant on its reference pairs and compares the scores");
  command->callback([options, exit_code] {
    *exit_code = Inspect(options->folder, *options, std::cout, std::cerr);
  });
}

}  // namespace tailor
