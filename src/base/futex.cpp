#include "base/futex.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <ctime>

namespace interpool {

namespace {

long futex(const void* address, int operation, std::uint32_t value, const timespec* timeout) noexcept {
  return syscall(SYS_futex, address, operation, value, timeout, nullptr, FUTEX_BITSET_MATCH_ANY);
}

}  // namespace

void futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                std::chrono::steady_clock::time_point deadline) noexcept {
  static_assert(sizeof(word) == sizeof(std::uint32_t));
  if (deadline == std::chrono::steady_clock::time_point::max()) {
    futex(&word, FUTEX_WAIT_BITSET_PRIVATE, expected, nullptr);
    return;
  }
  // FUTEX_WAIT_BITSET takes an absolute time of CLOCK_MONOTONIC, which is steady_clock's here.
  const auto since_boot = deadline.time_since_epoch();
  if (since_boot.count() < 0) return;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since_boot);
  const timespec timeout{
      .tv_sec = seconds.count(),
      .tv_nsec = std::chrono::duration_cast<std::chrono::nanoseconds>(since_boot - seconds).count()};
  futex(&word, FUTEX_WAIT_BITSET_PRIVATE, expected, &timeout);
}

void futex_wake_one(const std::atomic<std::uint32_t>* word) noexcept {
  futex(word, FUTEX_WAKE_PRIVATE, 1, nullptr);
}

void futex_wake_all(const std::atomic<std::uint32_t>* word) noexcept {
  futex(word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr);
}

}  // namespace interpool
