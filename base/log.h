// SPDX-License-Identifier: Apache-2.0
// Structured logging: JSON lines, or plain coloured lines when standard error is a terminal.
// Logs carry the start-up plan, state changes and internal errors (rate-limited); never user text.
#pragma once

#include <string>
#include <string_view>

#include "nlohmann/json.hpp"

namespace tailor {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

enum class LogFormat { kAuto, kText, kJson };

// Call once at start, before threads. Not calling it leaves info level and LogFormat::kAuto.
void InitLogging(LogLevel level, LogFormat format);

// One event with its fields, for example Log(LogLevel::kInfo, "variant loaded", {{"variant", id}}).
// Thread-safe. Escapes everything, so that file names cannot inject lines.
void Log(LogLevel level, std::string_view event, const nlohmann::json& fields = {});

}  // namespace tailor
