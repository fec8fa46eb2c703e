// What Python code prints, line by line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>

namespace interpool {

/// One of the two streams that Python code prints to.
enum class OutputStream : std::uint8_t {
  kStdout,  ///< sys.stdout
  kStderr,  ///< sys.stderr, where Python's own messages go as well
};

/// "stdout" or "stderr".
constexpr const char* to_string(OutputStream stream) noexcept {
  return stream == OutputStream::kStdout ? "stdout" : "stderr";
}

/// Bytes of UTF-8 after which a line is cut.
inline constexpr std::size_t kLongestOutputLine = 65536;

/// A line of output, or a piece of one. What it refers to is valid until the callback returns.
struct OutputLine {
  OutputStream stream = OutputStream::kStdout;
  /// UTF-8, without the newline; a carriage return stays. Where Python wrote what is no UTF-8 there is
  /// `\x` and two digits for each such byte.
  std::string_view text = {};
  /// Whether there was a newline. False: the line is longer than kLongestOutputLine, and its rest follows;
  /// or the task, or the thread, ended without one.
  bool newline = true;
  /// The worker that wrote it, as interpool.worker_id() has it; empty: a thread that is none.
  std::string_view worker = {};
  /// The name of the task that wrote it; empty: it has none, or there was no task.
  std::string_view task = {};
};

/// Takes what Python writes to its streams; see RuntimeOptions::output.
///
/// Called on the thread that writes, with no GIL held, from several threads at a time: it must be
/// thread-safe. The lines of one thread come in their order, and all that a task has written comes
/// before its future is ready. The Python code that prints waits until it returns, so it should not block for
/// long. It may use the library, as the task on whose thread it runs may; one that submits a task that
/// prints, for each line, never comes to an end. What it throws is logged, and Python does not notice.
///
/// It is called no more when Runtime::stop() has returned, unless that reports that it did not
/// come back in time, and is destroyed then, on the thread that stopped.
using OutputCallback = std::function<void(const OutputLine& line)>;

}  // namespace interpool
