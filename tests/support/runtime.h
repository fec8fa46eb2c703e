// The Runtime of a test process, and what it logs.
#pragma once

#include <interpool/runtime.h>

#include <cstddef>
#include <string>
#include <vector>

namespace interpool::test {

/// The process' Runtime, made by main(). Its module path has support/python in it.
Runtime& runtime();

/// The lines of warning and above that the library has logged since the last call, and forgets them.
std::vector<std::string> take_log();
/// Waits until the library has logged a line that contains `text`; throws TimedOut when it does not come.
void wait_for_log(const std::string& text);

/// Waits until `count` sub-interpreters exist; throws TimedOut when it does not come to that.
void wait_for_interpreters(std::size_t count);

/// Owns the Runtime; main() has one.
class WithRuntime {
 public:
  WithRuntime();
  ~WithRuntime();
  WithRuntime(const WithRuntime&) = delete;
  WithRuntime& operator=(const WithRuntime&) = delete;

  /// Stops it. What was left over, one line each: a test that leaks an interpreter is found here.
  [[nodiscard]] std::vector<std::string> stop() const;
};

}  // namespace interpool::test
