// CallGate: admission for a thread that calls by itself, one call at a time.
#pragma once

#include "base/futex.h"

#include <atomic>
#include <chrono>
#include <cstdint>

namespace interpool::detail {

/// Whether a call is under way and whether calls are still admitted, in one atomic word, as in Admission.
/// Each thread has one of its own, so that threads which call all the time do not meet in one word.
class CallGate {
 public:
  /// The thread that calls. False once closed.
  bool try_enter() noexcept {
    std::uint32_t idle = 0;
    // relaxed: it publishes nothing; who closes and then finds nobody inside reads what leave() published.
    return word_.compare_exchange_strong(idle, kInside, std::memory_order_relaxed);
  }
  /// The same thread, after each call. False if the call was given up meanwhile, and has been accounted for.
  bool leave() noexcept {
    // release: what the call did is seen by whoever waits for its end.
    const std::uint32_t before = word_.fetch_and(~kInside, std::memory_order_release);
    if ((before & kClosed) != 0) futex_wake_all(&word_);
    return (before & kGivenUp) == 0;
  }

  // Others, from any thread.

  void close() noexcept {
    word_.fetch_or(kClosed, std::memory_order_acq_rel);  // as in Admission
  }
  [[nodiscard]] bool closed() const noexcept {
    return (word_.load(std::memory_order_acquire) & kClosed) != 0;  // pairs with close()
  }
  /// Whether a call is under way that nobody has given up. acquire: pairs with leave().
  [[nodiscard]] bool busy() const noexcept { return busy(word_.load(std::memory_order_acquire)); }
  /// Gives the call under way up. False if there is none, or somebody has done that.
  bool give_up() noexcept {
    std::uint32_t word = word_.load(std::memory_order_relaxed);  // a guess; the exchange finds out
    do {
      if (!busy(word)) return false;
      // relaxed: only who gives it up counts it.
    } while (!word_.compare_exchange_weak(word, word | kGivenUp, std::memory_order_relaxed));
    futex_wake_all(&word_);  // others may wait for it, too
    return true;
  }
  /// After close(): waits until no call is under way; false when the deadline came first.
  bool wait_until_idle(std::chrono::steady_clock::time_point deadline) const noexcept {
    for (;;) {
      const std::uint32_t word = word_.load(std::memory_order_acquire);  // pairs with leave()
      if (!busy(word)) return true;
      if (std::chrono::steady_clock::now() >= deadline) return false;
      futex_wait(word_, word, deadline);
    }
  }

 private:
  static constexpr std::uint32_t kInside = 1;
  static constexpr std::uint32_t kClosed = 2;
  static constexpr std::uint32_t kGivenUp = 4;  // the call that is inside, or was when it was given up
  static constexpr bool busy(std::uint32_t word) noexcept { return (word & (kInside | kGivenUp)) == kInside; }

  std::atomic<std::uint32_t> word_ = 0;  // every write is a read-modify-write
};

}  // namespace interpool::detail
