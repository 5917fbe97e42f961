// SPDX-License-Identifier: Apache-2.0
#include "server/server_config.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <utility>

#include "CLI/Config.hpp"
#include "CLI/Error.hpp"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"

#include "base/nearest_name.h"
#include "base/status_macros.h"
#include "engine/backend_factory.h"
#include "server/pipeline/policies/registry.h"

namespace tailor {
namespace {

constexpr double kMaxCount = 1e9;
constexpr double kGiB = 1024.0 * 1024 * 1024;

std::vector<ConfigOption> MakeOptions() {
  using C = ServerConfig;
  using U = OptionUnit;
  return {
      {"family", U::kPath, &C::family,
       "Folder of the family to serve: its sub-folders are variants, or it is one model folder."},
      {"listen", U::kAddress, &C::listen,
       "Address of gRPC. Port 0 takes a free one. Only loopback unless told otherwise."},
      {"http-listen", U::kAddress, &C::http_listen,
       "Address of /metrics, /healthz and /statusz. Empty switches HTTP off."},
      {"port-file", U::kPath, &C::port_file,
       "File that gets the real ports as {\"grpc\": n, \"http\": n} once the server listens."},
      {"verify-variants", U::kFlag, &C::verify_variants,
       "Score 8 of the reference pairs of each variant at start, and refuse a variant that does "
       "not reproduce its own scores."},
      {"device",
       U::kText,
       &C::device,
       "Backend that runs the model. auto: cuda where there is a GPU that this build can use, else "
       "cpu; the log says why.",
       0,
       0,
       {kDeviceNames.begin(), kDeviceNames.end()}},
      {"cuda-device", U::kCount, &C::cuda_device, "Which GPU, as CUDA numbers them.", 0, 63},
      {"cpu-isa", U::kText, &C::cpu_isa,
       "Instruction set of the cpu backend: auto takes the best that the host has of amx, "
       "avx512_fp16, avx512_vnni, avx2 and portable, a name forces one and fails where it is "
       "missing."},
      {"threads", U::kCount, &C::threads,
       "Threads of the engine. 0: the cores of the CPU quota and the affinity mask.", 0, 1024},
      {"pin-threads",
       U::kText,
       &C::pin_threads,
       "Keep each engine thread on a core of its own; auto: when there are as many as cores in the "
       "affinity mask. Two servers on the same cores need off.",
       0,
       0,
       {"auto", "on", "off"}},
      {"policy", U::kText, &C::policy,
       "How a variant is chosen: tailored (the most quality in time) or fixed:VARIANT; to compare, "
       "slackfit, infaas-mincost, infaas-slowest-fit, proteus, model-switching or aimd."},
      {"default-budget", U::kDuration, &C::default_budget,
       "Time allowed when a call names neither a budget nor a deadline.", 0.0001, 60},
      {"reply-margin", U::kDuration, &C::reply_margin,
       "Part of the time allowed that is kept back for the reply's way home.", 0, 10},
      {"safety", U::kNumber, &C::safety,
       "Predicted times are multiplied by at least this before they meet a deadline; by more when "
       "3 % of the recent batches took longer.",
       0.5, 10},
      {"live-quality-share", U::kNumber, &C::live_quality_share,
       "Share of the Rank answers that the best variant scores again in idle time; how far the "
       "orders agree moves the qualities that choices count with. 0 switches it off.",
       0, 1},
      {"cost-file", U::kPath, &C::cost_file,
       "File that keeps the measured costs of the variants between runs; they steady the next "
       "warm-up. One of another host, version or set of cores is ignored. Empty: none."},
      {"max-documents", U::kCount, &C::max_documents, "Documents, pairs or texts of one call.", 1,
       100'000},
      {"max-document-bytes", U::kBytes, &C::max_document_bytes,
       "Bytes of one document, query or text.", 1, kGiB},
      {"max-message-bytes", U::kBytes, &C::max_message_bytes, "Bytes of one gRPC message.", 1024,
       kGiB},
      {"max-buffered-bytes", U::kBytes, &C::max_buffered_bytes,
       "Bytes that the messages of all connections may hold while they arrive; beyond it gRPC "
       "resets calls: RESOURCE_EXHAUSTED without a reason. At least four messages always fit.",
       1 << 20, kGiB},
      {"max-batch-tokens", U::kCount, &C::max_batch_tokens,
       "Tokens of one batch; the engine's memory is planned for it.", 512, 1 << 20},
      {"max-sequences", U::kCount, &C::max_sequences, "Pairs of one batch.", 1, 1 << 16},
      {"max-queued-requests", U::kCount, &C::max_queued_requests,
       "Requests that may wait; more are refused as OVERLOADED.", 1, 1'000'000},
      {"max-queued-tokens", U::kCount, &C::max_queued_tokens,
       "Tokens that may wait; more are refused as OVERLOADED.", 1, kMaxCount},
      {"tokenizer-threads", U::kCount, &C::tokenizer_threads, "Threads that turn text into tokens.",
       1, 256},
      {"pollers", U::kCount, &C::pollers,
       "gRPC completion queues, one thread each. 0: two, or one on a single core.", 0, 64},
      {"http-threads", U::kCount, &C::http_threads, "Threads of the HTTP listener.", 1, 64},
      {"reflection", U::kFlag, &C::reflection, "gRPC server reflection, for grpcurl and its like."},
      {"drain-delay", U::kDuration, &C::drain_delay,
       "After SIGTERM: how long to go on serving while load balancers take note.", 0, 3600},
      {"drain-grace", U::kDuration, &C::drain_grace,
       "After the drain delay: how long calls in flight may take.", 0, 3600},
      {"log-level",
       U::kText,
       &C::log_level,
       "Least level that is logged.",
       0,
       0,
       {"debug", "info", "warning", "error"}},
      {"log-format",
       U::kText,
       &C::log_format,
       "JSON lines, or plain text; auto takes text on a terminal.",
       0,
       0,
       {"auto", "text", "json"}},
  };
}

absl::Status Expected(std::string_view what, std::string_view got) {
  return absl::InvalidArgumentError(
      absl::StrCat("expected ", std::string(what), ", got \"", std::string(got), "\""));
}

std::string FormatNumber(double value) { return absl::StrCat(value); }

std::string FormatBytes(int64_t bytes) {
  constexpr std::pair<int64_t, std::string_view> kUnits[] = {
      {int64_t{1} << 30, "GiB"}, {int64_t{1} << 20, "MiB"}, {int64_t{1} << 10, "KiB"}};
  for (const auto& [size, name] : kUnits) {
    if (bytes >= size && bytes % size == 0) return absl::StrCat(bytes / size, std::string(name));
  }
  return absl::StrCat(bytes);
}

bool ParseBytes(std::string_view text, double* bytes) {
  constexpr std::pair<std::string_view, double> kUnits[] = {
      {"KiB", 1024.0}, {"MiB", 1024.0 * 1024}, {"GiB", kGiB}};
  double factor = 1;
  for (const auto& [name, size] : kUnits) {
    if (!text.ends_with(name)) continue;
    text.remove_suffix(name.size());
    factor = size;
    break;
  }
  int64_t number = 0;
  if (!absl::SimpleAtoi(std::string(text), &number)) return false;
  *bytes = static_cast<double>(number) * factor;
  return true;
}

std::string FormatDuration(double seconds) { return absl::FormatDuration(absl::Seconds(seconds)); }

// Reads a value of any numeric unit; a duration as seconds.
bool ParseNumber(OptionUnit unit, std::string_view text, double* number) {
  if (unit == OptionUnit::kDuration) {
    absl::Duration duration;
    if (!absl::ParseDuration(std::string(text), &duration)) return false;
    *number = absl::ToDoubleSeconds(duration);
    return true;
  }
  if (unit == OptionUnit::kBytes) return ParseBytes(text, number);
  if (unit == OptionUnit::kNumber) {
    return absl::SimpleAtod(std::string(text), number) && std::isfinite(*number);
  }
  int64_t whole = 0;
  if (!absl::SimpleAtoi(std::string(text), &whole)) return false;
  *number = static_cast<double>(whole);
  return true;
}

std::string FormatUnit(OptionUnit unit, double value) {
  if (unit == OptionUnit::kDuration) return FormatDuration(value);
  if (unit == OptionUnit::kBytes) return FormatBytes(static_cast<int64_t>(value));
  if (unit == OptionUnit::kCount) return absl::StrCat(static_cast<int64_t>(value));
  return FormatNumber(value);
}

absl::Status UnknownName(std::string_view name) {
  std::vector<std::string> known;
  for (const ConfigOption& option : ConfigOptions()) known.emplace_back(option.name);
  const std::string nearest = NearestName(name, known);
  return absl::InvalidArgumentError(
      absl::StrCat("unknown option \"", std::string(name), "\"",
                   nearest.empty() ? "" : absl::StrCat(", did you mean \"", nearest, "\"?")));
}

absl::Status Apply(const std::string& source, std::string_view name, std::string_view text,
                   ServerConfig* config) {
  for (const ConfigOption& option : ConfigOptions()) {
    if (option.name != name) continue;
    absl::Status parsed = option.Parse(text, config);
    if (parsed.ok()) return parsed;
    return absl::InvalidArgumentError(
        absl::StrCat(source, std::string(name), ": ", parsed.message()));
  }
  return absl::InvalidArgumentError(absl::StrCat(source, UnknownName(name).message()));
}

absl::Status ApplyFile(const std::string& path, ServerConfig* config) {
  std::ifstream file(path);
  if (!file) {
    return absl::InvalidArgumentError(absl::StrCat("config: expected a readable file, got ", path));
  }
  std::vector<CLI::ConfigItem> items;
  try {
    items = CLI::ConfigTOML().from_config(file);
  } catch (const CLI::Error& error) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", error.what()));
  }
  for (const CLI::ConfigItem& item : items) {
    if (item.inputs.size() != 1) {
      return absl::InvalidArgumentError(absl::StrCat(
          path, ": ", item.fullname(), ": expected one value, got ", item.inputs.size()));
    }
    TAILOR_RETURN_IF_ERROR(
        Apply(absl::StrCat(path, ": "), item.fullname(), item.inputs.front(), config));
  }
  return absl::OkStatus();
}

}  // namespace

std::string ConfigOption::EnvironmentName() const {
  std::string upper = absl::AsciiStrToUpper(std::string(name));
  std::replace(upper.begin(), upper.end(), '-', '_');
  return "TAILOR_" + upper;
}

std::string ConfigOption::Format(const ServerConfig& config) const {
  return std::visit(
      [&](auto field) -> std::string {
        using Value = std::decay_t<decltype(config.*field)>;
        if constexpr (std::is_same_v<Value, std::string>) {
          return config.*field;
        } else if constexpr (std::is_same_v<Value, bool>) {
          return config.*field ? "true" : "false";
        } else if constexpr (std::is_same_v<Value, Duration>) {
          return FormatDuration(ToSeconds(config.*field));
        } else {
          return FormatUnit(unit, static_cast<double>(config.*field));
        }
      },
      member);
}

std::string ConfigOption::Allowed() const {
  if (!choices.empty()) {
    const std::vector<std::string> names(choices.begin(), choices.end());
    return absl::StrJoin(names, ", ");
  }
  switch (unit) {
    case OptionUnit::kText:
      return "text";
    case OptionUnit::kPath:
      return "path";
    case OptionUnit::kAddress:
      return "host:port";
    case OptionUnit::kFlag:
      return "true, false";
    case OptionUnit::kCount:
    case OptionUnit::kBytes:
    case OptionUnit::kDuration:
    case OptionUnit::kNumber:
      return absl::StrCat(FormatUnit(unit, min), " to ", FormatUnit(unit, max));
  }
  return "";
}

absl::Status ConfigOption::Parse(std::string_view text, ServerConfig* config) const {
  return std::visit(
      [&](auto field) -> absl::Status {
        using Value = std::decay_t<decltype(config->*field)>;
        if constexpr (std::is_same_v<Value, std::string>) {
          const bool known =
              choices.empty() || std::find(choices.begin(), choices.end(), text) != choices.end();
          if (!known) return Expected(Allowed(), text);
          config->*field = std::string(text);
        } else if constexpr (std::is_same_v<Value, bool>) {
          if (text != "true" && text != "false") return Expected(Allowed(), text);
          config->*field = text == "true";
        } else {
          double number = 0;
          if (!ParseNumber(unit, text, &number) || number < min || number > max) {
            return Expected(Allowed(), text);
          }
          if constexpr (std::is_same_v<Value, Duration>) {
            config->*field = FromSeconds(number);
          } else {
            config->*field = static_cast<Value>(number);
          }
        }
        return absl::OkStatus();
      },
      member);
}

std::span<const ConfigOption> ConfigOptions() {
  static const std::vector<ConfigOption> options = MakeOptions();
  return options;
}

absl::StatusOr<ServerConfig> ResolveConfig(const ConfigSources& sources) {
  ServerConfig config;
  if (!sources.file.empty()) TAILOR_RETURN_IF_ERROR(ApplyFile(sources.file, &config));
  if (sources.environment) {
    for (const ConfigOption& option : ConfigOptions()) {
      const std::string variable = option.EnvironmentName();
      const char* value = sources.environment(variable.c_str());
      if (value == nullptr) continue;
      TAILOR_RETURN_IF_ERROR(
          Apply(absl::StrCat("environment ", variable, ": "), option.name, value, &config));
    }
  }
  for (const ConfigValue& flag : sources.flags) {
    TAILOR_RETURN_IF_ERROR(Apply("--", flag.name, flag.text, &config));
  }
  return config;
}

absl::Status CheckConfig(const ServerConfig& config) {
  if (config.family.empty()) {
    return absl::InvalidArgumentError("family: expected the folder of a family, got nothing");
  }
  if (config.max_document_bytes > config.max_message_bytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "max-document-bytes: expected at most max-message-bytes, ",
        FormatBytes(config.max_message_bytes), ", got ", FormatBytes(config.max_document_bytes)));
  }
  return CheckPolicyName(config.policy);
}

}  // namespace tailor
