// SPDX-License-Identifier: Apache-2.0
#include "server/serve_command.h"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"

#include "server/serve.h"
#include "server/server_config.h"

namespace tailor {
namespace {

// What the command line of `tailor serve` says.
struct ServeFlags {
  ConfigSources sources;
  bool check = false;
  bool print = false;
  bool print_docs = false;
};

int RunServe(const ServeFlags& flags) {
  if (flags.print_docs) {
    std::fputs(ConfigDocumentation().c_str(), stdout);
    return kExitOk;
  }
  absl::StatusOr<ServerConfig> config = ResolveConfig(flags.sources);
  if (!config.ok()) return FailToServe(config.status(), kExitConfig);
  if (flags.print) {
    std::fputs(PrintConfig(*config).c_str(), stdout);
    return kExitOk;
  }
  if (const absl::Status checked = CheckConfig(*config); !checked.ok()) {
    return FailToServe(checked, kExitConfig);
  }
  if (flags.check) {
    std::puts("configuration ok");
    return kExitOk;
  }
  return Serve(*config, CreateBackend);
}

}  // namespace

void AddServeCommand(CLI::App& app, int* exit_code) {
  CLI::App* serve = app.add_subcommand("serve", "Serve a family over gRPC and HTTP.");
  const auto flags = std::make_shared<ServeFlags>();
  flags->sources.environment = [](const char* name) { return std::getenv(name); };
  if (const char* file = std::getenv("TAILOR_CONFIG")) flags->sources.file = file;
  serve->add_option("--config", flags->sources.file,
                    "File with options as keys (TOML or INI); also TAILOR_CONFIG.");
  for (const ConfigOption& option : ConfigOptions()) {
    serve
        ->add_option_function<std::string>(
            "--" + std::string(option.name),
            [flags, name = std::string(option.name)](const std::string& text) {
              flags->sources.flags.push_back({name, text});
            },
            std::string(option.help))
        ->type_name("")
        ->default_str(option.Format(ServerConfig{}));
  }
  serve->add_flag("--check-config", flags->check, "Check the configuration and end.");
  serve->add_flag("--print-config", flags->print, "Print the configuration as a file and end.");
  serve->add_flag("--print-config-docs", flags->print_docs, "Print docs/configuration.md and end.");
  serve->callback([flags, exit_code] { *exit_code = RunServe(*flags); });
}

}  // namespace tailor
