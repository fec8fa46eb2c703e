// std::mutex and std::condition_variable with thread-safety annotations.
//
// The house rule for all of them: no mutex of the library is held while a GIL is taken, and no user
// code (a callable, a destructor of one, a hook) runs under one.
#pragma once

#include "base/thread_annotations.h"

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace interpool {

class INTERPOOL_CAPABILITY("mutex") Mutex {
 public:
  void lock() INTERPOOL_ACQUIRE() { mutex_.lock(); }
  void unlock() INTERPOOL_RELEASE() { mutex_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

class INTERPOOL_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) INTERPOOL_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~MutexLock() INTERPOOL_RELEASE() { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

/// Waits with a Mutex that the caller holds; always in a loop around the condition.
class CondVar {
 public:
  void notify_one() noexcept { condition_.notify_one(); }
  void notify_all() noexcept { condition_.notify_all(); }
  void wait(Mutex& mutex) INTERPOOL_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }
  /// False when the deadline passed first.
  bool wait_until(Mutex& mutex, std::chrono::steady_clock::time_point deadline) INTERPOOL_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    bool in_time = true;
    if (deadline == std::chrono::steady_clock::time_point::max()) {
      condition_.wait(lock);
    } else {
      in_time = condition_.wait_until(lock, deadline) == std::cv_status::no_timeout;
    }
    lock.release();
    return in_time;
  }

 private:
  std::condition_variable condition_;
};

}  // namespace interpool
