// Statistics: how time is measured for SubinterpreterExecutor::stats, cheaply enough to be always on.
#pragma once

#include "interpool/detail/clock.h"
#include "interpool/stats.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>

// 0 in the build that shows what they cost; see docs/benchmarks.md.
#ifndef INTERPOOL_STATISTICS
#define INTERPOOL_STATISTICS 1
#endif

namespace interpool::detail {

/// Whether times are measured. Counts are kept anyway: the end of an executor needs them.
inline constexpr bool kMeasureTimes = INTERPOOL_STATISTICS != 0;

/// A sum of times. Written by one thread, read by any. relaxed: a number, which nothing hangs on.
class TimeSum {
 public:
  void add(Clock::duration time, std::uint32_t weight = 1) noexcept {
    sum_.store(sum_.load(std::memory_order_relaxed) + time.count() * weight, std::memory_order_relaxed);
  }
  /// The same where several threads write.
  void add_shared(Clock::duration time, std::uint32_t weight = 1) noexcept {
    sum_.fetch_add(time.count() * weight, std::memory_order_relaxed);
  }
  [[nodiscard]] Clock::duration get() const noexcept {
    return Clock::duration(sum_.load(std::memory_order_relaxed));
  }

 private:
  std::atomic<Clock::rep> sum_ = 0;
};

/// Time that somebody spends on something now and then, up to now. Started and stopped by one thread, read by
/// any, consistently, as it is one word: the sum, and while it runs the sum less the time of the start, which
/// is negative then. relaxed: as in TimeSum.
class Stopwatch {
 public:
  void start(Clock::time_point now) noexcept { change(-since_birth(now)); }
  void stop(Clock::time_point now) noexcept { change(since_birth(now)); }
  /// Started and not stopped.
  [[nodiscard]] bool runs() const noexcept { return word_.load(std::memory_order_relaxed) < 0; }
  [[nodiscard]] Clock::duration get(Clock::time_point now = Clock::now()) const noexcept {
    const Clock::rep word = word_.load(std::memory_order_relaxed);
    const Clock::rep sum = word < 0 ? word + since_birth(now) : word;
    // Who starts and stops it may look at the clock before or after us, and what has been told must not go
    // back.
    Clock::rep told = told_.load(std::memory_order_relaxed);
    while (told < sum && !told_.compare_exchange_weak(told, sum, std::memory_order_relaxed)) {
    }
    return Clock::duration(std::max(told, sum));
  }

 private:
  [[nodiscard]] Clock::rep since_birth(Clock::time_point now) const noexcept {
    return (now - birth_).count();
  }
  void change(Clock::rep by) noexcept {
    word_.store(word_.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }

  // Before any start by more than what could be summed up, so that the word is negative while it runs.
  const Clock::time_point birth_ = Clock::now() - std::chrono::nanoseconds(1);
  std::atomic<Clock::rep> word_ = 0;
  mutable std::atomic<Clock::rep> told_ = 0;
};

/// Which of many events are measured: each, while they are slow; one in up to kFewest while they are quick,
/// and that one stands for those before it. For one thread at a time.
class Sampler {
 public:
  /// Called for each event: whether this one is to be measured.
  [[nodiscard]] bool due() noexcept { return kMeasureTimes && --left_ == 0; }
  /// How many events the one that is due stands for, itself included.
  [[nodiscard]] std::uint32_t weight() const noexcept { return stride_; }
  /// After each that was due.
  void measured(bool quick) noexcept {
    if (!quick) {
      stride_ = 1;
      quick_ = 0;
    } else if (++quick_ >= kQuickInARow) {
      stride_ = std::min(stride_ * 2, kFewest);
      quick_ = 0;
    }
    left_ = stride_;
  }

 private:
  static constexpr std::uint32_t kFewest = 32;
  static constexpr std::uint32_t kQuickInARow = 8;
  std::uint32_t left_ = 1;
  std::uint32_t stride_ = 1;
  std::uint32_t quick_ = 0;
};

/// Tasks are slow from here on: what comes, or runs, more seldom is measured each time. The clock takes less
/// than a hundredth of it.
inline constexpr std::chrono::microseconds kSlowTask{32};
/// A GIL is free if it comes faster.
inline constexpr std::chrono::microseconds kSlowGil{5};

/// TaskTimes as they are written by one thread.
struct WorkTimes {
  Stopwatch running;
  TimeSum gil_wait;
  TimeSum waiting;

  void add_to(TaskTimes& sum) const noexcept {
    sum.running += running.get();
    sum.gil_wait += gil_wait.get();
    sum.waiting += waiting.get();
  }
};

/// The same of a thread that calls by itself, which knows them after each call that is measured.
struct CallTimes {
  TimeSum running;
  TimeSum gil_wait;

  void add_to(TaskTimes& sum) const noexcept {
    sum.running += running.get();
    sum.gil_wait += gil_wait.get();
  }
};

}  // namespace interpool::detail
