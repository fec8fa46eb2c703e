// BlockedWorkers: the workers that wait for a task, so that a wait that could never end is an error instead.
#pragma once

#include "base/mutex.h"
#include "interpool/detail/task.h"

#include <array>
#include <atomic>
#include <cstddef>

namespace interpool::detail {

class TaskQueue;
class WorkerThread;

/// A worker that waits for a task without an end.
struct BlockedWorker {
  /// A queue that it takes tasks from, and how many workers do.
  struct Lane {
    const TaskQueue* queue = nullptr;
    std::size_t workers = 0;
  };

  std::array<Lane, 2> lanes;
  const TaskBase* runs = nullptr;  // the task that waits; null: something between two tasks does
  const TaskBase* awaits = nullptr;
  BlockedWorker* next = nullptr;
  bool stuck = false;  // as far as the check at hand knows
};

/// One look at all blocked workers, under their mutex.
///
/// It takes all of them for stuck at first, and then no longer those whose task could still be brought on: by
/// a worker that is not among them, a deadline or a third party that has begun to settle it. What is left
/// waits for each other. Tasks tell by TaskBase::stuck(), which must not claim more when fewer workers are
/// stuck.
class WaitCheck {
 public:
  explicit WaitCheck(BlockedWorker* workers) noexcept : workers_(workers) {}
  WaitCheck(const WaitCheck&) = delete;
  WaitCheck& operator=(const WaitCheck&) = delete;

  /// Whether this one, which is among them, is stuck.
  [[nodiscard]] bool finds_stuck(const BlockedWorker& worker) noexcept;

  // --- for tasks -------------------------------------------------------------------------------

  /// Whether all workers that take tasks from the queue are stuck. The queue may be gone, if another thread
  /// has settled the task that was in it; then it is none of theirs.
  [[nodiscard]] bool all_stuck(const TaskQueue* queue) const noexcept;
  /// Whether a stuck worker runs the task.
  [[nodiscard]] bool runs_stuck(const TaskBase& task) const noexcept;
  /// Calls `look` unless it is nested too deeply for the stack; then nothing is certain, hence false.
  template <class Look>
  [[nodiscard]] bool nested(Look look) const noexcept {
    constexpr unsigned kDeepest = 256;
    if (depth_ == kDeepest) return false;
    ++depth_;
    const bool found = look();
    --depth_;
    return found;
  }

 private:
  BlockedWorker* const workers_;
  mutable unsigned depth_ = 0;
  // The last answer of all_stuck(), since the parts of a map are all in one queue.
  mutable const TaskQueue* asked_ = nullptr;
  mutable bool answer_ = false;
};

/// All workers of the process that wait for a task without an end. Who else waits, or waits for something
/// else or only for a time, is not here, and counts as able to go on. Thread-safe; touched only by a worker
/// that goes to sleep, and once by each continuation.
///
/// Why what a check finds is certain: while it runs, the workers in the list do nothing but wait, since who
/// wakes up has to leave the list first, for which it needs the mutex. So a task that only they could bring
/// on stays as it is found: in its queue, or running on the worker that runs it. And what they did before is
/// seen, since they came into the list under the mutex. Only a third party (Future::cancel, the end of an
/// executor) could still settle it; that is no worker, and nobody else's future is being waited for here.
///
/// Why no circle is missed: a worker comes into the list before it looks, so the last one to come sees all
/// the others. What it takes for alive because of an older state (a task that a running worker is just
/// taking, say) is looked at again when that worker comes to wait itself.
class BlockedWorkers {
 public:
  constexpr BlockedWorkers() = default;
  BlockedWorkers(const BlockedWorkers&) = delete;
  BlockedWorkers& operator=(const BlockedWorkers&) = delete;

  /// The process'.
  static BlockedWorkers& all() noexcept;

  /// Adds a worker; false, and nothing done, if it would be stuck.
  [[nodiscard]] bool add(BlockedWorker& worker) noexcept INTERPOOL_EXCLUDES(mutex_);
  void remove(BlockedWorker& worker) noexcept INTERPOOL_EXCLUDES(mutex_);

  /// Returns when nobody looks any more at what the caller has, before, made unreachable by a store that is
  /// seq_cst. Needs no mutex unless somebody looks now.
  void let_lookers_finish() noexcept INTERPOOL_EXCLUDES(mutex_);

 private:
  void unlink(BlockedWorker& worker) noexcept INTERPOOL_REQUIRES(mutex_);

  Mutex mutex_;
  BlockedWorker* first_ INTERPOOL_GUARDED_BY(mutex_) = nullptr;
  // seq_cst where it is set, and read: either the checker sees the store that made something unreachable, or
  // who made it so sees the checker. release where it is cleared: what was looked at may go then.
  std::atomic<bool> looking_ = false;
};

}  // namespace interpool::detail
