// A thread of the operating system, with what std::thread has no way to ask for.
#pragma once

#include <pthread.h>

#include <cstddef>
#include <functional>
#include <vector>

namespace interpool {

/// Checked by whoever fills it in.
struct ThreadOptions {
  std::size_t stack_size = 0;  // bytes; 0: the system's default
  std::vector<int> cpus = {};  // that it may run on; empty: as the thread that starts it
};

/// Like std::thread: joined or detached before its end, or the process ends; moved, not copied. Not
/// thread-safe.
class Thread {
 public:
  Thread() = default;
  /// Starts `body`, which must not throw. Throws std::system_error when there cannot be such a thread.
  Thread(const ThreadOptions& options, std::function<void()> body);
  Thread(Thread&& other) noexcept;
  Thread& operator=(Thread&& other) noexcept;
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;
  ~Thread();

  [[nodiscard]] bool joinable() const noexcept { return joinable_; }
  [[nodiscard]] bool is_current() const noexcept {
    return joinable_ && pthread_equal(thread_, pthread_self()) != 0;
  }
  /// Blocks until it has ended.
  void join() noexcept;
  void detach() noexcept;

 private:
  pthread_t thread_{};
  bool joinable_ = false;
};

/// The smallest stack that the system gives a thread, in bytes.
std::size_t smallest_stack() noexcept;
/// `bytes`, rounded up. Should there be no such number, the greatest that there is.
std::size_t in_whole_pages(std::size_t bytes) noexcept;
/// Whether this process may run a thread on that CPU: it exists, and no cpuset forbids it. Starts a thread to
/// try.
bool can_run_on(int cpu);

}  // namespace interpool
