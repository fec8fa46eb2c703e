// TaskQueue: bounded, first in first out, with the threads that may sleep beside it.
#pragma once

#include "base/mutex.h"
#include "base/parker.h"
#include "interpool/detail/task.h"
#include "interpool/worker.h"
#include "runtime/admission.h"
#include "runtime/statistics.h"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace interpool::detail {

class Timekeeper;
class WorkerThread;

/// Tasks on their way to the workers that may run them.
///
/// Two lists, each with a mutex of its own, so that submitters and workers meet once per batch instead
/// of once per task: submitters append to the inbox; a worker takes from the outbox, and moves the whole
/// inbox there when that is empty. Tasks stay in the queue until a worker takes them one by one, so none
/// is stranded behind a running one while another worker idles. Lock order: outbox, then inbox.
///
/// Workers have seats, in groups that share an interpreter. Who submits wakes nobody when a worker is
/// searching whose interpreter is free: it will find the task. Else it wakes a thread whose interpreter is
/// free, if there is one; else one thread in each group that has none on its way (any GIL may become free
/// first). A worker that takes a task and leaves others behind does the same, so the wake-ups are as many
/// as the work needs and no more.

class TaskQueue {
 public:
  using Seat = std::size_t;
  enum class Push : std::uint8_t { kDone, kFull, kClosed };

  TaskQueue() = default;
  ~TaskQueue();
  TaskQueue(const TaskQueue&) = delete;
  TaskQueue& operator=(const TaskQueue&) = delete;

  /// Adds a worker's seat, before the queue is used; the worker is seated from then on, so that threads
  /// which have yet to start do not all come running for one task. `group` counts from 0 without gaps.
  Seat add_seat(const WorkerThread& worker, Parker& parker, std::size_t group)
      INTERPOOL_EXCLUDES(inbox_mutex_, outbox_mutex_);
  /// The worker that takes all the tasks, if there is just one; else null.
  [[nodiscard]] const WorkerThread* only_worker() noexcept INTERPOOL_EXCLUDES(inbox_mutex_) {
    const MutexLock lock(inbox_mutex_);
    return seats_.size() == 1 ? seats_.front().worker : nullptr;
  }
  /// How many workers take from it.
  [[nodiscard]] std::size_t seats() const noexcept INTERPOOL_EXCLUDES(inbox_mutex_) {
    const MutexLock lock(inbox_mutex_);
    return seats_.size();
  }

  // --- submitters ------------------------------------------------------------------------------

  /// Appends the task, whose reference the queue takes over, unless `capacity` tasks wait already or
  /// `admission` is closed. A task with a deadline is registered with the timekeeper. `accepted`, if given,
  /// is counted up before anybody can take the task.
  Push push(TaskBase& task, std::size_t capacity, const Admission& admission, Timekeeper& timekeeper,
            std::atomic<std::uint64_t>* accepted = nullptr) INTERPOOL_EXCLUDES(inbox_mutex_);
  /// Sleeps until fewer than `capacity` tasks wait, `admission` is closed and wake_submitters() has
  /// been called, or the deadline has passed; may return early. Holds no GIL.
  void wait_for_room(std::size_t capacity, const Admission& admission, Clock::time_point deadline)
      INTERPOOL_EXCLUDES(outbox_mutex_);
  void wake_submitters() INTERPOOL_EXCLUDES(outbox_mutex_);
  /// Of the workers that take from it: constant once they have their seats.
  [[nodiscard]] Lane lane() const noexcept { return lane_; }
  /// How many tasks wait, or have just been taken. relaxed: a number.
  [[nodiscard]] std::uint64_t waiting() const noexcept {
    const std::uint64_t taken = taken_.load(std::memory_order_relaxed);
    return pushed_.load(std::memory_order_relaxed) - taken;
  }
  /// How many tasks have ever been appended. relaxed: a number.
  [[nodiscard]] std::uint64_t pushed() const noexcept { return pushed_.load(std::memory_order_relaxed); }

  // --- workers ---------------------------------------------------------------------------------

  /// The oldest task, or null. The queue goes on holding the reference for the seat, so that others can
  /// ask what runs there, until the seat takes again or puts down.
  TaskBase* take(Seat seat) INTERPOOL_EXCLUDES(outbox_mutex_, inbox_mutex_);
  /// Drops the reference to the task that the seat took last.
  void put_down(Seat seat) INTERPOOL_EXCLUDES(outbox_mutex_);
  /// A reference to the task that the seat took last and has not put down, or none.
  TaskRef<TaskBase> taken_by(Seat seat) INTERPOOL_EXCLUDES(outbox_mutex_);
  /// Whether there seems to be a task; take() knows.
  [[nodiscard]] bool maybe_work() const noexcept {
    // relaxed: a hint. The order of the two matters only for its quality.
    return taken_.load(std::memory_order_relaxed) != pushed_.load(std::memory_order_relaxed);
  }
  /// Declares that the worker polls maybe_work() now, and will come for what it finds, or sit down. At
  /// most one at a time.
  void search(Seat seat) INTERPOOL_EXCLUDES(inbox_mutex_);
  /// The searcher comes for what it has found. From then on others are woken again for what else comes in.
  void found(Seat seat) INTERPOOL_EXCLUDES(inbox_mutex_);
  /// Declares the seat asleep; false, and nothing done, when there is a task. From then on a task
  /// that comes in may unpark it.
  bool sit_down(Seat seat) INTERPOOL_EXCLUDES(outbox_mutex_, inbox_mutex_);
  /// The thread is awake, whatever woke it. If it was summoned it counts as on its way.
  void stand_up(Seat seat) INTERPOOL_EXCLUDES(inbox_mutex_);
  /// The thread holds its GIL, or has given up on that: it is no longer on its way. `warm` tells
  /// whether its interpreter exists now.
  void arrived(Seat seat, bool warm) INTERPOOL_EXCLUDES(inbox_mutex_);

  // --- third parties ---------------------------------------------------------------------------

  /// Takes the task out, wherever it stands; the queue's reference is the caller's then. False when a
  /// worker has taken it.
  bool remove(TaskBase& task) INTERPOOL_EXCLUDES(outbox_mutex_, inbox_mutex_);
  /// References to all waiting tasks of one executor, which stay in the queue.
  std::vector<TaskRef<TaskBase>> tasks_of(const ExecutorCore& core)
      INTERPOOL_EXCLUDES(outbox_mutex_, inbox_mutex_);

 private:
  /// Linked by the tasks' next_ and previous_; the latter says nothing in the first one.
  struct List {
    TaskBase* first = nullptr;
    TaskBase* last = nullptr;
  };
  enum class Posture : std::uint8_t { kAwake, kSeated, kSummoned, kSearching };
  struct SeatState {
    const WorkerThread* worker;
    Parker* parker;
    std::size_t group;
    Posture posture = Posture::kAwake;
  };
  struct Group {
    std::size_t seats = 0;
    std::size_t seated = 0;
    std::size_t on_their_way = 0;  // summoned or searching
    bool warm = false;             // its interpreter exists
    [[nodiscard]] bool wakeable() const noexcept { return seated > 0 && on_their_way == 0; }
    [[nodiscard]] bool free() const noexcept { return seated == seats; }
  };
  /// A submitter that waits for room, on its own stack.
  struct RoomWaiter {
    std::size_t capacity;  // the queue's in its executor's eyes: there is room below that
    Parker parker = {};
    RoomWaiter* next = nullptr;
  };

  static void append(List& list, TaskBase& task) noexcept;
  /// Notes when the task comes in.
  void note_time(TaskBase& task) INTERPOOL_REQUIRES(inbox_mutex_);
  void unlink(TaskBase& task) noexcept INTERPOOL_REQUIRES(outbox_mutex_, inbox_mutex_);
  /// Wakes whom the waiting tasks need. Returns one to be unparked by the caller, after unlocking.
  Parker* summon() INTERPOOL_REQUIRES(inbox_mutex_);
  void set_posture(SeatState& seat, Posture posture) INTERPOOL_REQUIRES(inbox_mutex_);
  void count_taken() INTERPOOL_REQUIRES(outbox_mutex_);
  /// Wakes a submitter for whom `waiting` tasks leave room.
  void wake_for_room(std::uint64_t waiting) INTERPOOL_REQUIRES(outbox_mutex_);

  Lane lane_ = Lane::kAttached;  // whose queues have no seats

  // Submitters write here, …
  alignas(64) mutable Mutex inbox_mutex_;
  List inbox_ INTERPOOL_GUARDED_BY(inbox_mutex_);
  std::uint64_t taken_seen_ INTERPOOL_GUARDED_BY(inbox_mutex_) = 0;  // taken_ as it was last looked at
  std::vector<SeatState> seats_ INTERPOOL_GUARDED_BY(inbox_mutex_);
  std::vector<Group> groups_ INTERPOOL_GUARDED_BY(inbox_mutex_);
  const Group* searching_ INTERPOOL_GUARDED_BY(inbox_mutex_) = nullptr;  // the group of who searches
  Sampler sampler_ INTERPOOL_GUARDED_BY(inbox_mutex_);
  Clock::time_point last_timed_ INTERPOOL_GUARDED_BY(inbox_mutex_);
  // Written under inbox_mutex_. relaxed everywhere: the tasks are handed on by the mutexes, and who reads it
  // without this one takes it for a number that may have grown.
  std::atomic<std::uint64_t> pushed_ = 0;

  // … both look here with each task, but write only when a worker changes its posture, …
  // Written under inbox_mutex_, and exact there. relaxed: without it a hint, which only take() uses.
  alignas(64) std::atomic<std::uint32_t> wakeable_groups_ = 0;

  // … and workers write here.
  alignas(64) Mutex outbox_mutex_;
  List outbox_ INTERPOOL_GUARDED_BY(outbox_mutex_);
  std::vector<TaskBase*> held_ INTERPOOL_GUARDED_BY(outbox_mutex_);  // by seat: what it took last, owned
  RoomWaiter* room_waiters_ INTERPOOL_GUARDED_BY(outbox_mutex_) = nullptr;
  // Written under outbox_mutex_. relaxed everywhere, as pushed_. Read late, it makes the queue look fuller
  // than it is; who waits for room because of that looks again under the mutex.
  std::atomic<std::uint64_t> taken_ = 0;
};

}  // namespace interpool::detail
