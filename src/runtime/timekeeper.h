// Timekeeper: settles tasks that wait in a queue beyond their deadline.
#pragma once

#include "base/mutex.h"
#include "interpool/detail/task.h"

#include <chrono>
#include <cstddef>
#include <memory>
#include <thread>
#include <vector>

namespace interpool::detail {

/// One thread, started with the first deadline, and a heap of the waiting tasks that have one. Tasks
/// leave the heap when they are claimed or settled, so a result is never kept alive by its deadline.
/// It never attaches to an interpreter. Shared-owned by its owner and its thread, which may be kept by
/// a destructor of the user's that does not return.
class Timekeeper : public std::enable_shared_from_this<Timekeeper> {
 public:
  Timekeeper() = default;
  Timekeeper(const Timekeeper&) = delete;
  Timekeeper& operator=(const Timekeeper&) = delete;

  /// Registers a task that has details and is queued (or about to be: its queue is locked).
  void add(TaskBase& task) INTERPOOL_EXCLUDES(mutex_);
  /// Forgets a task that has details. Every task that was added is removed, or has expired, before
  /// the end of its life.
  void remove(TaskBase& task) noexcept INTERPOOL_EXCLUDES(mutex_);
  /// Ends the thread, and waits for that until `deadline`; not at all on the thread itself. Deadlines are
  /// no longer kept from then on.
  void stop(Clock::time_point deadline) noexcept INTERPOOL_EXCLUDES(mutex_);

 private:
  void run() INTERPOOL_EXCLUDES(mutex_);
  void place(std::size_t slot, TaskBase* task) INTERPOOL_REQUIRES(mutex_);
  void sift_up(std::size_t slot) INTERPOOL_REQUIRES(mutex_);
  void sift_down(std::size_t slot) INTERPOOL_REQUIRES(mutex_);
  void erase(std::size_t slot) INTERPOOL_REQUIRES(mutex_);

  Mutex mutex_;
  CondVar changed_;
  std::vector<TaskBase*> heap_ INTERPOOL_GUARDED_BY(mutex_);  // by deadline; not owned
  bool stopping_ INTERPOOL_GUARDED_BY(mutex_) = false;
  bool ended_ INTERPOOL_GUARDED_BY(mutex_) = false;  // the thread has nothing more to do
  std::thread thread_ INTERPOOL_GUARDED_BY(mutex_);
};

}  // namespace interpool::detail
