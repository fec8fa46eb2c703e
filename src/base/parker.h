// Parker: one thread sleeps in it, any other wakes it.
#pragma once

#include "base/futex.h"

#include <atomic>
#include <chrono>
#include <cstdint>

namespace interpool {

/// A binary semaphore for one sleeping thread. A wake-up that comes first is kept, so none is lost;
/// several count as one. The waker makes a system call only when the thread really sleeps.
class Parker {
 public:
  /// Sleeps until unparked, or until the deadline; false when that came first.
  bool park(std::chrono::steady_clock::time_point deadline =
                std::chrono::steady_clock::time_point::max()) noexcept {
    std::uint32_t empty = kEmpty;
    // relaxed: nothing is handed to the waker but the fact that we sleep.
    if (state_.compare_exchange_strong(empty, kSleeping, std::memory_order_relaxed)) {
      while (state_.load(std::memory_order_relaxed) == kSleeping) {  // the exchange below acquires
        if (std::chrono::steady_clock::now() >= deadline) break;
        futex_wait(state_, kSleeping, deadline);
      }
    }
    // acquire: what the waker did before unpark() is seen from here on.
    return state_.exchange(kEmpty, std::memory_order_acquire) == kNotified;
  }

  void unpark() noexcept {
    // release: what we did before is seen by the thread that wakes.
    if (state_.exchange(kNotified, std::memory_order_release) == kSleeping) futex_wake_one(&state_);
  }

 private:
  static constexpr std::uint32_t kEmpty = 0;
  static constexpr std::uint32_t kNotified = 1;
  static constexpr std::uint32_t kSleeping = 2;
  std::atomic<std::uint32_t> state_ = kEmpty;
};

}  // namespace interpool
