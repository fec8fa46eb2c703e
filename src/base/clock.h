// Points in time.
#pragma once

#include <chrono>

namespace interpool {

/// now + time, without overflow.
inline std::chrono::steady_clock::time_point after(std::chrono::nanoseconds time) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point now = Clock::now();
  return time > Clock::time_point::max() - now ? Clock::time_point::max() : now + time;
}

/// The same for a time in milliseconds, whose nanoseconds may be too many to count.
inline std::chrono::steady_clock::time_point after(std::chrono::milliseconds time) {
  constexpr auto kMost =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::nanoseconds::max());
  return after(std::chrono::nanoseconds(time < kMost ? time : kMost));
}

}  // namespace interpool
