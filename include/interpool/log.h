// Where the library's own log lines go.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

namespace interpool {

/// Severity, with spdlog's names, so that a callback can hand a line on with its level. The library writes
/// kWarn and kError so far, and nothing below.
enum class LogLevel : std::uint8_t { kTrace, kDebug, kInfo, kWarn, kError, kCritical, kOff };

/// Takes one formatted line, without a newline. Called on threads of the library and on those that make or
/// stop a Runtime or an executor (which destroying it does), one call at a time, never while a GIL is waited
/// for. It must not block for long, must not call the library, whose locks its caller may hold, and must not
/// throw (what it throws is dropped). It lives as long as the Runtime and what outlives it, and dies on
/// whichever thread lets go last.
using LogCallback = std::function<void(LogLevel level, std::string_view line)>;

}  // namespace interpool
