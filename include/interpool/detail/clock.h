// Points in time.
#pragma once

#include <chrono>

namespace interpool::detail {

using Clock = std::chrono::steady_clock;

/// now + time; the end of time where that is later still.
template <class Rep, class Period>
Clock::time_point after(std::chrono::duration<Rep, Period> time) {
  const Clock::time_point now = Clock::now();
  const std::chrono::duration<double> left = Clock::time_point::max() - now;
  if (std::chrono::duration<double>(time) >= left) return Clock::time_point::max();
  return now + std::chrono::ceil<Clock::duration>(time);
}

}  // namespace interpool::detail
