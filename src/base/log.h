// The library's logger. The only part of it that knows spdlog.
#pragma once

#include "interpool/log.h"

#include <fmt/format.h>

#include <memory>
#include <string_view>
#include <utility>

namespace interpool {

/// Formats and filters lines and hands them to the host's callback, or to stderr. Thread-safe.
class Logger {
 public:
  Logger(LogCallback callback, LogLevel level);
  ~Logger();
  Logger(const Logger&) = delete;
  Logger& operator=(const Logger&) = delete;

  template <class... Args>
  void log(LogLevel level, fmt::format_string<Args...> format, Args&&... args) noexcept {
    write_formatted(level, format, std::forward<Args>(args)...);
  }
  template <class... Args>
  void info(fmt::format_string<Args...> format, Args&&... args) noexcept {
    write_formatted(LogLevel::kInfo, format, std::forward<Args>(args)...);
  }
  template <class... Args>
  void warn(fmt::format_string<Args...> format, Args&&... args) noexcept {
    write_formatted(LogLevel::kWarn, format, std::forward<Args>(args)...);
  }
  template <class... Args>
  void error(fmt::format_string<Args...> format, Args&&... args) noexcept {
    write_formatted(LogLevel::kError, format, std::forward<Args>(args)...);
  }

 private:
  template <class... Args>
  void write_formatted(LogLevel level, fmt::format_string<Args...> format, Args&&... args) noexcept {
    if (!enabled(level)) return;
    try {
      write(level, fmt::format(format, std::forward<Args>(args)...));
    } catch (...) {  // NOLINT(bugprone-empty-catch): a log line is not worth an exception
    }
  }
  [[nodiscard]] bool enabled(LogLevel level) const noexcept;
  void write(LogLevel level, std::string_view line);

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace interpool
