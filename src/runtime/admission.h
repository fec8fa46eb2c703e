// Admission: who may still come in, and how many are inside, in one atomic word.
#pragma once

#include "base/futex.h"

#include <atomic>
#include <chrono>
#include <cstdint>

namespace interpool::detail {

/// A closed bit and a count of what is in flight. Because both are one word, nothing is admitted once
/// close() has returned, and from then on the count can only fall: checking a flag and then counting
/// lets work in after the drain has begun.
class Admission {
 public:
  /// False once closed; else it counts, until leave().
  bool try_enter() noexcept {
    std::uint32_t word = word_.load(std::memory_order_relaxed);
    do {
      if ((word & kClosed) != 0) return false;
      // relaxed: entering publishes nothing; the task is handed over by its queue.
    } while (!word_.compare_exchange_weak(word, word + 1, std::memory_order_relaxed));
    return true;
  }

  /// Returns `count` places. Nothing that belongs to the executor may be touched afterwards: the last one
  /// out lets its owner destroy it.
  void leave(std::uint32_t count = 1) noexcept {
    // The wake-up only uses the address.
    const std::atomic<std::uint32_t>* address = &word_;
    // release: what was done inside is seen by whoever waits for the count to be 0.
    if (word_.fetch_sub(count, std::memory_order_release) == (kClosed | count)) futex_wake_all(address);
  }

  void close() noexcept {
    // release: whoever sees it closed sees what the closer did before. acquire: if the last one has left by
    // now, the closer sees what was done inside.
    if (word_.fetch_or(kClosed, std::memory_order_acq_rel) == 0) futex_wake_all(&word_);
  }

  [[nodiscard]] bool closed() const noexcept {
    // acquire: pairs with close(). That nobody sleeps or queues past the end is the callers' business: they
    // ask under a mutex that the closer takes afterwards.
    return (word_.load(std::memory_order_acquire) & kClosed) != 0;
  }
  [[nodiscard]] std::uint32_t in_flight() const noexcept {
    // acquire: pairs with leave(); at 0 all that was done inside is seen.
    return word_.load(std::memory_order_acquire) & ~kClosed;
  }

  /// After close(): waits until the count is 0; false when the deadline came first.
  bool wait_until_empty(std::chrono::steady_clock::time_point deadline) const noexcept {
    for (;;) {
      const std::uint32_t word = word_.load(std::memory_order_acquire);  // pairs with leave()
      if ((word & ~kClosed) == 0) return true;
      if (std::chrono::steady_clock::now() >= deadline) return false;
      // A falling count changes the word without a wake-up, and so may end the sleep early or not at
      // all; only 0 does for certain.
      futex_wait(word_, word, deadline);
    }
  }

 private:
  static constexpr std::uint32_t kClosed = 1U << 31;
  // Every write is a read-modify-write, so whoever acquires a 0 sees what each of those that left had done.
  // try_enter() begins with a guess, relaxed; its exchange finds out.
  std::atomic<std::uint32_t> word_ = 0;
};

}  // namespace interpool::detail
