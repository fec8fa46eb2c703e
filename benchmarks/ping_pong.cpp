#include "ping_pong.h"

#include "placement.h"
#include "timing.h"

#include <atomic>
#include <cstdint>
#include <thread>

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace bench {

namespace {

/// One direction, on a cache line of its own.
struct alignas(64) Word {
  std::atomic<std::uint32_t> value = 0;
};

struct Spinning {
  static void send(Word& word, std::uint32_t number) noexcept {
    word.value.store(number, std::memory_order_release);
  }
  static void receive(Word& word, std::uint32_t number) noexcept {
    while (word.value.load(std::memory_order_acquire) != number) {
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
    }
  }
};

struct Sleeping {
  static void send(Word& word, std::uint32_t number) noexcept {
    word.value.store(number, std::memory_order_release);
    syscall(SYS_futex, &word.value, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
  }
  static void receive(Word& word, std::uint32_t number) noexcept {
    for (;;) {
      const std::uint32_t seen = word.value.load(std::memory_order_acquire);
      if (seen == number) return;
      syscall(SYS_futex, &word.value, FUTEX_WAIT_PRIVATE, seen, nullptr, nullptr, 0);
    }
  }
};

template <class Way>
double ping_pong(std::size_t round_trips) {
  const auto count = static_cast<std::uint32_t>(round_trips);
  Word there;
  Word back;
  // Round trip 1 is the thread's start.
  std::thread echo([&] {
    place_this_thread(End::kWorker);
    for (std::uint32_t i = 1; i <= count + 1; ++i) {
      Way::receive(there, i);
      Way::send(back, i);
    }
  });
  const auto round_trip = [&](std::uint32_t i) {
    Way::send(there, i);
    Way::receive(back, i);
  };
  round_trip(1);
  const double time = nanoseconds_per(round_trips, [&] {
    for (std::uint32_t i = 2; i <= count + 1; ++i) round_trip(i);
  });
  echo.join();
  return time;
}

}  // namespace

double spinning_ping_pong(std::size_t round_trips) { return ping_pong<Spinning>(round_trips); }
double sleeping_ping_pong(std::size_t round_trips) { return ping_pong<Sleeping>(round_trips); }

}  // namespace bench
