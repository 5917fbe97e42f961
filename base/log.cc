// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <unistd.h>

#include <memory>

#include "spdlog/sinks/stdout_color_sinks.h"
#include "spdlog/spdlog.h"

namespace tailor {
namespace {

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

struct Sink {
  std::shared_ptr<spdlog::logger> logger;
  bool json = false;
};

Sink MakeSink(LogLevel level, LogFormat format) {
  Sink sink;
  sink.json =
      format == LogFormat::kJson || (format == LogFormat::kAuto && isatty(STDERR_FILENO) == 0);
  sink.logger = std::make_shared<spdlog::logger>(
      "tailor", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
  sink.logger->set_level(ToSpdlog(level));
  sink.logger->set_pattern(sink.json ? "%v" : "%H:%M:%S.%e %^%l%$ %v");
  return sink;
}

// The logger is the one process-wide object: every layer may log, none should have to carry it.
Sink& GlobalSink() {
  static Sink sink = MakeSink(LogLevel::kInfo, LogFormat::kAuto);
  return sink;
}

std::string FieldText(const nlohmann::json& fields) {
  std::string text;
  for (const auto& [key, value] : fields.items()) {
    text += "  " + key + "=" + value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }
  return text;
}

}  // namespace

void InitLogging(LogLevel level, LogFormat format) { GlobalSink() = MakeSink(level, format); }

void Log(LogLevel level, std::string_view event, const nlohmann::json& fields) {
  const Sink& sink = GlobalSink();
  const spdlog::level::level_enum spd_level = ToSpdlog(level);
  if (!sink.logger->should_log(spd_level)) return;
  if (!sink.json) {
    sink.logger->log(spd_level, "{}{}", event, FieldText(fields));
    return;
  }
  nlohmann::ordered_json line;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  line["time"] = std::chrono::duration<double>(now).count();
  line["level"] = std::string_view(spdlog::level::to_string_view(spd_level).data());
  line["event"] = event;
  for (const auto& [key, value] : fields.items()) line[key] = value;
  sink.logger->log(spd_level, "{}",
                   line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

}  // namespace tailor
