// Waiting for events, with a bound after which a test fails instead of hanging.
#pragma once

#include <interpool/future.h>

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <source_location>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>

namespace interpool::test {

/// How long a test waits for what must happen. Never waited for in a test that passes.
inline constexpr std::chrono::seconds kPatience{60};

/// What a test waited for did not happen.
struct TimedOut : std::runtime_error {
  using std::runtime_error::runtime_error;
  explicit TimedOut(const std::source_location& where)
      : std::runtime_error(std::string("nothing happened within the bound at ") + where.file_name() + ":" +
                           std::to_string(where.line())) {}
};

/// Something that happens once. Waiting holds on to a GIL that the caller has: so is a worker kept busy.
class Event {
 public:
  void set() {
    const std::lock_guard lock(mutex_);
    set_ = true;
    changed_.notify_all();  // under the lock: the waiter may destroy the event
  }
  [[nodiscard]] bool is_set() const {
    const std::lock_guard lock(mutex_);
    return set_;
  }
  void wait(const std::source_location& where = std::source_location::current()) const {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, kPatience, [this] { return set_; })) throw TimedOut(where);
  }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  bool set_ = false;
};

/// A point that `count` threads must have reached before any goes on.
class Meeting {
 public:
  explicit Meeting(int count) : missing_(count) {}
  void arrive_and_wait(const std::source_location& where = std::source_location::current()) {
    std::unique_lock lock(mutex_);
    if (--missing_ == 0) changed_.notify_all();
    if (!changed_.wait_for(lock, kPatience, [this] { return missing_ <= 0; })) throw TimedOut(where);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int missing_;
};

/// For states that tell nobody when they come about.
template <class Condition>
void wait_until(Condition condition, const std::source_location& where = std::source_location::current()) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= end) throw TimedOut(where);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

/// A thread that says when it sleeps in the kernel: it got stuck where the test wants it to.
class SleepingThread {
 public:
  template <class F>
  explicit SleepingThread(F action)
      : thread_([this, action = std::move(action)]() mutable {
          id_ = gettid();
          action();
          id_ = -1;
        }) {}
  ~SleepingThread() {
    if (thread_.joinable()) thread_.join();
  }
  SleepingThread(const SleepingThread&) = delete;
  SleepingThread& operator=(const SleepingThread&) = delete;

  /// Waits until the thread sleeps, or has ended.
  void wait_until_asleep(const std::source_location& where = std::source_location::current()) const {
    wait_until(
        [this] {
          const int id = id_;
          if (id <= 0) return id < 0;
          std::ifstream stat("/proc/self/task/" + std::to_string(id) + "/stat");
          std::string text;
          std::getline(stat, text);
          const auto name_end = text.rfind(')');
          return name_end != std::string::npos && text.compare(name_end, 3, ") S") == 0;
        },
        where);
  }
  void join() { thread_.join(); }

 private:
  std::atomic<int> id_ = 0;
  std::thread thread_;
};

/// Future::get with a bound.
template <class T>
T get(Future<T>& future, const std::source_location& where = std::source_location::current()) {
  if (!future.wait_for(kPatience)) throw TimedOut(where);
  return future.get();
}
template <class T>
T get(Future<T>&& future, const std::source_location& where = std::source_location::current()) {
  return get(future, where);
}
template <class T>
Result<T> result(Future<T>& future, const std::source_location& where = std::source_location::current()) {
  if (!future.wait_for(kPatience)) throw TimedOut(where);
  return future.result();
}
template <class T>
Result<T> result(Future<T>&& future, const std::source_location& where = std::source_location::current()) {
  return result(future, where);
}

/// The error of `future` if it is an E, as a copy; throws whatever else comes of it.
template <class E, class T>
E error_of(Future<T> future, const std::source_location& where = std::source_location::current()) {
  try {
    get(future, where);
  } catch (const E& error) {
    return error;
  }
  throw std::runtime_error(std::string("a value instead of an error at ") + where.file_name() + ":" +
                           std::to_string(where.line()));
}
/// The error that `action` throws if it is an E, as a copy.
template <class E, class F>
  requires std::is_invocable_v<F&>
E error_of(F action, const std::source_location& where = std::source_location::current()) {
  try {
    (void)action();
  } catch (const E& error) {
    return error;
  }
  throw std::runtime_error(std::string("no error at ") + where.file_name() + ":" +
                           std::to_string(where.line()));
}

}  // namespace interpool::test
