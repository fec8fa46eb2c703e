// StopControl: from Ctrl-C to an orderly end.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace indexer {

/// What the signals so far ask for. The third asks for nothing: it ends the process.
enum class Urgency {
  kNone,
  kDrain,   ///< Start nothing new, finish what is in flight.
  kCancel,  ///< Finish only what is running this moment.
};

/// Turns SIGINT and SIGTERM into a request that the program looks at when it suits.
///
/// The signals are blocked, in the thread that makes this object and in all that are started later, and a
/// thread of its own waits for them. So no handler interrupts anything, and what is done about a signal is
/// ordinary code. Make it before any other thread.
///
/// Thread safety: any thread may call anything.
class StopControl {
 public:
  StopControl();
  StopControl(const StopControl&) = delete;
  StopControl& operator=(const StopControl&) = delete;
  /// Leaves the signals blocked: what comes now is too late to change anything.
  ~StopControl();

  [[nodiscard]] Urgency urgency() const;
  /// The first signal that came; 0 when none has.
  [[nodiscard]] int signal() const;

  /// Waits until `wake()` is true, which is looked at after each signal and each notify(), or for that long.
  /// Whether it is true.
  bool wait_for(std::chrono::milliseconds time, const std::function<bool()>& wake);
  /// Something that a waiting thread may look for has happened.
  void notify();

  /// Closes the books: the signal that decides the exit code, or 0. Later ones change nothing, so that the
  /// report and the exit code agree.
  int decide();

 private:
  void watch();
  void on_signal(int signal);

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;  // guarded by mutex_, as all below
  int first_signal_ = 0;
  unsigned long changes_ = 0;
  bool decided_ = false;
  bool closing_ = false;
  std::thread thread_;
};

}  // namespace indexer
