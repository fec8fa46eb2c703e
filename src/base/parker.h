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
  /// Returns once unparked, or at the deadline; spins for `spin` before it sleeps. False: the
  /// deadline came first.
  bool park(std::chrono::nanoseconds spin, std::chrono::steady_clock::time_point deadline =
                                               std::chrono::steady_clock::time_point::max()) noexcept {
    // acquire: what the waker did before unpark() is seen after park().
    if (!spin_until([this] { return state_.load(std::memory_order_acquire) == kNotified; }, spin)) {
      std::uint32_t empty = kEmpty;
      // relaxed on success: nothing is handed to the waker but the fact that we sleep.
      if (state_.compare_exchange_strong(empty, kSleeping, std::memory_order_relaxed,
                                         std::memory_order_acquire)) {
        while (state_.load(std::memory_order_acquire) == kSleeping) {
          if (std::chrono::steady_clock::now() >= deadline) break;
          futex_wait(state_, kSleeping, deadline);
        }
      }
    }
    // acquire, as above, for the wake-up that came between the last look and this exchange.
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
