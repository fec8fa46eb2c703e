// Sleeping on a 32-bit word: the kernel's futex. Chosen over std::atomic::wait for its timeouts and
// because the waker knows from the word itself whether a system call is needed.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace interpool {

/// Sleeps while `word` is `expected`, until woken or the deadline; may return early for no reason.
void futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                std::chrono::steady_clock::time_point deadline) noexcept;
/// Wakes who sleeps on the address. Never reads it, so the word may be gone by then.
void futex_wake_one(const std::atomic<std::uint32_t>* word) noexcept;
void futex_wake_all(const std::atomic<std::uint32_t>* word) noexcept;

/// Tells the processor that this is a spin loop.
inline void spin_pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Spins until `done()` or `limit` has passed; returns what done() said last. Tells `at` each time that it
/// reads from the clock, which is a microsecond apart or so.
template <class Done, class At>
bool spin_until(Done done, std::chrono::nanoseconds limit, At at) noexcept {
  if (done()) return true;
  if (limit <= std::chrono::nanoseconds::zero()) return false;
  auto now = std::chrono::steady_clock::now();
  const auto end = now + limit;
  do {
    at(now);
    for (int i = 0; i < 32; ++i) {
      spin_pause();
      if (done()) return true;
    }
    now = std::chrono::steady_clock::now();
  } while (now < end);
  at(now);
  return false;
}
template <class Done>
bool spin_until(Done done, std::chrono::nanoseconds limit) noexcept {
  return spin_until(done, limit, [](std::chrono::steady_clock::time_point /*now*/) {});
}

}  // namespace interpool
