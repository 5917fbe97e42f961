// SPDX-License-Identifier: Apache-2.0
// Every option of the server, once: the table below makes the flags, the environment variables, the
// keys of the configuration file, --print-config and docs/configuration.md.
#pragma once

#include <chrono>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "base/clock.h"

namespace tailor {

// Const after start. The initialisers are the defaults.
struct ServerConfig {
  std::string family;
  std::string listen = "127.0.0.1:50051";
  std::string http_listen = "127.0.0.1:8080";
  std::string port_file;

  bool verify_variants = true;

  std::string device = "cpu";
  int cuda_device = 0;
  std::string cpu_isa = "auto";
  int threads = 0;
  std::string pin_threads = "auto";

  std::string policy = "tailored";
  Duration default_budget = std::chrono::milliseconds(100);
  Duration reply_margin = std::chrono::milliseconds(1);
  double safety = 1.1;
  double live_quality_share = 0.01;
  std::string cost_file;

  int max_documents = 1000;
  int64_t max_document_bytes = 64 << 10;
  int64_t max_message_bytes = 4 << 20;
  int64_t max_buffered_bytes = 64 << 20;
  int max_batch_tokens = 4096;
  int max_sequences = 512;
  int max_queued_requests = 1024;
  int64_t max_queued_tokens = 1 << 20;

  int tokenizer_threads = 1;
  int pollers = 0;
  int http_threads = 2;
  bool reflection = true;

  Duration drain_delay = std::chrono::seconds(5);
  Duration drain_grace = std::chrono::seconds(30);

  std::string log_level = "info";
  std::string log_format = "auto";
};

enum class OptionUnit { kText, kPath, kAddress, kCount, kBytes, kDuration, kNumber, kFlag };

struct ConfigOption {
  using Member =
      std::variant<std::string ServerConfig::*, int ServerConfig::*, int64_t ServerConfig::*,
                   double ServerConfig::*, Duration ServerConfig::*, bool ServerConfig::*>;

  std::string_view name;  // flag --name, key name, environment variable TAILOR_NAME
  OptionUnit unit;
  Member member;
  std::string_view help;
  double min = 0;  // of numbers, bytes, and durations in seconds
  double max = 0;
  std::vector<std::string_view> choices = {};  // of texts; empty: any

  std::string EnvironmentName() const;                   // "TAILOR_MAX_DOCUMENTS"
  std::string Format(const ServerConfig& config) const;  // as Parse reads it
  std::string Allowed() const;                           // "1 to 100000", "cpu or reference"
  // InvalidArgument "expected ..., got ..." leaves `config` as it was.
  absl::Status Parse(std::string_view text, ServerConfig* config) const;
};

std::span<const ConfigOption> ConfigOptions();

// One value that the caller gave for an option, by its name.
struct ConfigValue {
  std::string name;
  std::string text;
};

// Where values come from, weakest first.
struct ConfigSources {
  std::string file;                                          // path; empty: none
  std::function<const char*(const char* name)> environment;  // getenv, or a fake
  std::vector<ConfigValue> flags;
};

// Defaults, then the file (TOML or INI), then the environment, then the flags. InvalidArgument
// names source, option, what was expected and what came; an unknown key also the nearest name.
absl::StatusOr<ServerConfig> ResolveConfig(const ConfigSources& sources);

// What single options cannot say: a family is named, a document fits into a message.
absl::Status CheckConfig(const ServerConfig& config);

// A file that --config accepts and that gives `config` again.
std::string PrintConfig(const ServerConfig& config);

// docs/configuration.md.
std::string ConfigDocumentation();

}  // namespace tailor
