// SPDX-License-Identifier: Apache-2.0
// The configuration as a file, and its documentation; both from the table in server_config.cc.
#include <string>

#include "absl/strings/str_cat.h"

#include "server/server_config.h"

namespace tailor {
namespace {

std::string Quoted(const std::string& text) { return absl::StrCat("\"", text, "\""); }

bool IsBare(OptionUnit unit) {
  return unit == OptionUnit::kCount || unit == OptionUnit::kNumber || unit == OptionUnit::kFlag;
}

constexpr std::string_view kDocumentHead = R"(# Configuration

Written by `tailor serve --print-config-docs` from the table in `server/server_config.cc`; a test
fails when it is not current.

Every option is a flag (`--max-documents 500`), an environment variable (`TAILOR_MAX_DOCUMENTS=500`)
and a key of the file given with `--config` (`max-documents = 500`, TOML). A flag wins over the
environment, the environment over the file, the file over the default. An unknown flag or key is an
error that names the nearest one. Environment variables that start with `TAILOR_` and are not in the
table are left alone: orchestrators set such for every service of that name.

Durations are written like `20ms`, `1.5s` or `2m`; sizes in bytes or like `64KiB` or `4MiB`.
`tailor serve --print-config` prints the values in force as a file, `tailor serve --check-config`
checks them and ends. A bad configuration, a port that is in use and a device that is not there end
the server with exit code 78 and one line; the loss of its device with 70, within five seconds and
without the drain delay.

| option | default | allowed | what it does |
|---|---|---|---|
)";

}  // namespace

std::string PrintConfig(const ServerConfig& config) {
  std::string text;
  for (const ConfigOption& option : ConfigOptions()) {
    const std::string value = option.Format(config);
    absl::StrAppend(&text, "# ", std::string(option.help), "\n", std::string(option.name), " = ",
                    IsBare(option.unit) ? value : Quoted(value), "\n");
  }
  return text;
}

std::string ConfigDocumentation() {
  const ServerConfig defaults;
  std::string text(kDocumentHead);
  for (const ConfigOption& option : ConfigOptions()) {
    const std::string value = option.Format(defaults);
    absl::StrAppend(&text, "| `", std::string(option.name), "` | ",
                    value.empty() ? "" : absl::StrCat("`", value, "`"), " | ", option.Allowed(),
                    " | ", std::string(option.help), " |\n");
  }
  return text;
}

}  // namespace tailor
