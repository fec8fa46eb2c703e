// Reading the clock around a piece of work.
#pragma once

#include <chrono>
#include <cstddef>
#include <stdexcept>

namespace bench {

using Clock = std::chrono::steady_clock;

inline double nanoseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::nano>(Clock::now() - start).count();
}

/// How long `work` takes, in nanoseconds, divided by `operations`.
template <class Work>
double nanoseconds_per(std::size_t operations, Work&& work) {
  const Clock::time_point start = Clock::now();
  work();
  return nanoseconds_since(start) / static_cast<double>(operations);
}

/// A measurement of something that gave the wrong answer is worth nothing.
inline void check(bool right, const char* what) {
  if (!right) throw std::logic_error(what);
}

}  // namespace bench
