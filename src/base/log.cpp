#include "base/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>

#include <mutex>

namespace interpool {

namespace {

spdlog::level::level_enum to_spdlog(LogLevel level) { return static_cast<spdlog::level::level_enum>(level); }
LogLevel from_spdlog(spdlog::level::level_enum level) { return static_cast<LogLevel>(level); }

static_assert(static_cast<int>(LogLevel::kTrace) == SPDLOG_LEVEL_TRACE);
static_assert(static_cast<int>(LogLevel::kCritical) == SPDLOG_LEVEL_CRITICAL);
static_assert(static_cast<int>(LogLevel::kOff) == SPDLOG_LEVEL_OFF);

/// Hands each line to the host; base_sink's mutex makes it one call at a time.
class CallbackSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit CallbackSink(LogCallback callback) : callback_(std::move(callback)) {}

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    try {
      callback_(from_spdlog(message.level), std::string_view(message.payload.data(), message.payload.size()));
    } catch (...) {  // NOLINT(bugprone-empty-catch): documented in LogCallback
    }
  }
  void flush_() override {}

 private:
  LogCallback callback_;
};

spdlog::sink_ptr make_sink(LogCallback callback) {
  if (callback) return std::make_shared<CallbackSink>(std::move(callback));
  return std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
}

}  // namespace

const char* to_string(LogLevel level) noexcept {
  return spdlog::level::to_string_view(to_spdlog(level)).data();  // of literals
}

struct Logger::Impl {
  spdlog::logger logger;
};

Logger::Logger(LogCallback callback, LogLevel level)
    : impl_(new Impl{spdlog::logger("interpool", make_sink(std::move(callback)))}) {
  impl_->logger.set_level(to_spdlog(level));
}

Logger::~Logger() = default;

bool Logger::enabled(LogLevel level) const noexcept { return impl_->logger.should_log(to_spdlog(level)); }

void Logger::write(LogLevel level, std::string_view line) {
  impl_->logger.log(to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace interpool
