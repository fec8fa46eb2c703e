// Programs that bench runs: CPython's own executor, the indexer, itself.
#pragma once

#include <cstddef>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <sys/types.h>

namespace bench {

/// A running program with pipes to its stdin and from its stdout. Ended, if need be, and awaited on
/// destruction.
class ChildProcess {
 public:
  /// Throws std::system_error when it cannot be started.
  explicit ChildProcess(const std::vector<std::string>& command, bool discard_stderr = false);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  void write_line(const std::string& line);
  /// The next line; empty at the end.
  std::string read_line();
  /// Closes its stdin, reads its stdout to the end, and waits; its exit status, or -1 for a death by signal.
  int wait();

 private:
  struct Close {
    void operator()(std::FILE* file) const noexcept { std::fclose(file); }
  };
  using File = std::unique_ptr<std::FILE, Close>;

  pid_t pid_ = -1;
  File to_;
  File from_;
};

/// CPython's InterpreterPoolExecutor with one worker, in a process of its own that is idle until it is asked.
class InterpreterPool {
 public:
  /// Null when there is none, and the reason in `why_not`; `python` may be empty.
  static std::unique_ptr<InterpreterPool> start(const std::string& python, std::string& why_not);

  /// Nanoseconds per task: all submitted, then all awaited.
  double in_flight(std::size_t tasks) { return ask("in_flight", tasks); }
  /// Nanoseconds per task: each awaited before the next.
  double round_trip(std::size_t tasks) { return ask("round_trip", tasks); }

 private:
  explicit InterpreterPool(const std::string& python);
  double ask(const char* what, std::size_t tasks);
  ChildProcess process_;
};

}  // namespace bench
