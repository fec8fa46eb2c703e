// StopOnce: of several who stop the same thing, one does the work and all get its report.
#pragma once

#include "base/mutex.h"

#include <chrono>
#include <optional>
#include <thread>
#include <utility>

namespace interpool::detail {

/// May be used from any thread, and again from inside the work.
template <class Report>
class StopOnce {
 public:
  /// Whether somebody has begun.
  [[nodiscard]] bool begun() noexcept INTERPOOL_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    return worker_ != std::thread::id();
  }
  /// Whether the report is there.
  [[nodiscard]] bool finished() noexcept INTERPOOL_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    return report_.has_value();
  }

  /// The first call ever: `work()` makes the report; if it throws, `so_far()` does for everyone else.
  /// Every other call waits for that report until `deadline`, or not at all if it comes from inside
  /// `work()`, and returns `so_far()` if it is not there.
  template <class Work, class SoFar>
  Report run(std::chrono::steady_clock::time_point deadline, Work&& work, SoFar&& so_far)
      INTERPOOL_EXCLUDES(mutex_) {
    if (!begin()) {
      if (auto report = wait(deadline)) return *std::move(report);
      return so_far();
    }
    try {
      return finish(work());
    } catch (...) {
      finish(so_far());
      throw;
    }
  }

 private:
  bool begin() noexcept INTERPOOL_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    if (worker_ != std::thread::id()) return false;
    worker_ = std::this_thread::get_id();
    return true;
  }
  std::optional<Report> wait(std::chrono::steady_clock::time_point deadline) INTERPOOL_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    if (worker_ == std::this_thread::get_id()) return report_;
    while (!report_ && changed_.wait_until(mutex_, deadline)) {
    }
    return report_;
  }
  Report finish(Report report) INTERPOOL_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    report_ = report;
    changed_.notify_all();
    return report;
  }

  Mutex mutex_;
  CondVar changed_;
  std::thread::id worker_ INTERPOOL_GUARDED_BY(mutex_);
  std::optional<Report> report_ INTERPOOL_GUARDED_BY(mutex_);
};

}  // namespace interpool::detail
