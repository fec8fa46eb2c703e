// Inside: what the Python side asks of the library, and hands to it.
#pragma once

#include "base/log.h"
#include "interpool/detail/clock.h"
#include "interpool/output.h"
#include "python/module.h"
#include "runtime/admission.h"

#include <memory>
#include <optional>
#include <string_view>
#include <utility>

namespace interpool::detail {

/// Shared-owned by the Runtime and by the module `interpool` of every interpreter: the main one outlives the
/// Runtime, and so do threads that had to be given up. Thread-safe.
class Inside final : public python::Host, public std::enable_shared_from_this<Inside> {
 public:
  Inside(OutputCallback output, LogRecordCallback record, std::shared_ptr<Logger> log)
      : log_(std::move(log)), output_(std::move(output)), record_(std::move(record)) {}

  [[nodiscard]] std::string_view worker() const noexcept override;
  [[nodiscard]] std::optional<std::string_view> task() const noexcept override;
  void write(OutputStream stream, std::string_view bytes) override;
  void log(LogLevel level, std::string_view logger, std::string_view message) noexcept override;

  /// Before anything else is called.
  [[nodiscard]] bool takes_output() const noexcept { return output_ != nullptr; }

  /// Hands over what the calling thread has written to any of them without a newline, as a line each. With or
  /// without a GIL, which it releases meanwhile.
  static void finish_lines() noexcept {
    if (has_begun) finish_begun_lines();
  }
  /// For thread-local objects that are about to be made, and print when they die: the lines of the calling
  /// thread die after them.
  static void prepare_thread();
  /// From now on the host is told nothing; true: its callbacks have all returned and been destroyed.
  bool close(Clock::time_point deadline) noexcept;

 private:
  struct Begun;

  static void finish_begun_lines() noexcept;
  /// Hands over the lines at the beginning of `text`; how long they are. What remains has no newline, and is
  /// not too long for a line.
  std::size_t hand_over_lines(OutputStream stream, std::string_view text) noexcept;
  /// Calls `tell` unless it is too late for that; what it throws is logged as that of `which`.
  template <class Tell>
  void tell_host(const char* which, Tell tell) noexcept;
  void hand_over(OutputStream stream, std::string_view text, bool newline) noexcept;

  // The calling thread's: there may be something in its Begun.
  static constinit thread_local bool has_begun;
  // The calling thread's Begun has been destroyed: the thread is ending.
  static constinit thread_local bool is_ending;

  Admission admission_;  // who is about to call back, or does
  const std::shared_ptr<Logger> log_;
  // Constant until close(), and used by nobody after it.
  OutputCallback output_;
  LogRecordCallback record_;
};

}  // namespace interpool::detail
