// Where the library's own log lines go.
#pragma once

#include <interpool/detail/api.h>

#include <cstdint>
#include <functional>
#include <string_view>

namespace interpool {

/// Severity, with spdlog's names, so that a callback can hand a line on with its level. The library itself
/// writes kWarn and kError so far, and nothing below.
enum class LogLevel : std::uint8_t { kTrace, kDebug, kInfo, kWarn, kError, kCritical, kOff };

/// "warning", as spdlog writes it.
INTERPOOL_API const char* to_string(LogLevel level) noexcept;

/// Takes one formatted line, without a newline at its end; what Python logs may have newlines inside. Called
/// on threads of the library, on those that make or stop a Runtime or an executor (which destroying it does),
/// and on those on which Python logs or prints; one call at a time, never while a GIL is waited for. It must
/// not block for long, must not call the library, whose locks its caller may hold, and must not throw (what
/// it throws is dropped). It lives as long as the Runtime and what outlives it, and dies on whichever thread
/// lets go last.
using LogCallback = std::function<void(LogLevel level, std::string_view line)>;

/// A record of Python's `logging` that an interpool.LogHandler handed on. What it refers to is valid until
/// the callback returns; text is UTF-8.
struct LogRecord {
  /// Python's CRITICAL to DEBUG are the levels of the same names; what is below DEBUG is kTrace, and what is
  /// between two levels the lower one.
  LogLevel level = LogLevel::kInfo;
  /// The logger's name, "app.db" say.
  std::string_view logger = {};
  /// What the handler's formatter made of it, with the traceback of an exception: it may have several lines.
  std::string_view message = {};
  /// The worker on whose thread it was logged, as interpool.worker_id() has it; empty: a thread that is none.
  std::string_view worker = {};
  /// The name of the task that logged it; empty: it has none, or there was no task.
  std::string_view task = {};
};

/// Takes the records of Python's logging; see RuntimeOptions::python_log. Called on the thread that logs,
/// with no GIL held, from several threads at a time: it must be thread-safe. Python waits until it returns.
/// It may use the library, as the task on whose thread it runs may; what it throws is logged, and Python does
/// not notice. It ends as an OutputCallback does: it is called no more, and destroyed, when Runtime::stop()
/// has returned.
using LogRecordCallback = std::function<void(const LogRecord& record)>;

}  // namespace interpool
