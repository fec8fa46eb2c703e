// Points in time.
#pragma once

#include <chrono>

namespace interpool::detail {

using Clock = std::chrono::steady_clock;

/// now + time; the end of time where that is later still, and now for a time that is negative (or no number).
template <class Rep, class Period>
Clock::time_point after(std::chrono::duration<Rep, Period> time) {
  const Clock::time_point now = Clock::now();
  const std::chrono::duration<double> seconds(time);
  if (!(seconds.count() > 0)) return now;
  if (seconds >= std::chrono::duration<double>(Clock::time_point::max() - now))
    return Clock::time_point::max();
  return now + std::chrono::ceil<Clock::duration>(time);
}

}  // namespace interpool::detail
