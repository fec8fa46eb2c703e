// WorkerThread: the loop that runs tasks in one interpreter.
#pragma once

#include "base/parker.h"
#include "interpool/worker.h"
#include "python/callback.h"
#include "python/thread_state.h"
#include "runtime/blocked_workers.h"
#include "runtime/interpreter_place.h"
#include "runtime/membership.h"
#include "runtime/statistics.h"
#include "runtime/task_queue.h"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace interpool {
class Logger;
struct RecycleOptions;
struct WorkerHooks;
}  // namespace interpool

namespace interpool::detail {

/// How many tasks a worker has settled, and its times. Written by its thread only; read by anyone.
struct alignas(64) WorkerCounts {
  std::atomic<std::uint64_t> completed = 0;
  std::atomic<std::uint64_t> failed = 0;
  // By who gives up what runs there, hence counted with a read-modify-write. relaxed: as ExecutorCore's.
  std::atomic<std::uint64_t> abandoned = 0;
  WorkTimes times;
};

/// "pinned-0", "pooled-3", "attached-1" or "main"
std::string worker_id(Lane lane, std::size_t index);

/// One worker of any lane. Its thread runs run() and then leave(); everything else may be called
/// from other threads. Shared-owned by its thread and its owner, so that the thread can be given up.
///
/// The loop attaches first and takes a task second, under that GIL: a task is never in the hands of
/// a thread that waits for a GIL while another interpreter is free.
class WorkerThread {
 public:
  struct Setup {
    Lane lane = Lane::kPooled;
    std::size_t index = 0;         // in its lane
    std::size_t shared_group = 0;  // among the groups of the shared queue
    TaskQueue* shared = nullptr;   // tasks for anyone; or null
    std::chrono::nanoseconds spin{0};
    std::atomic<bool>* searching = nullptr;  // set while some worker of the executor searches
    // Of the executor that the worker belongs to; null: it serves several, which count for themselves.
    Admission* admission = nullptr;
    const WorkerHooks* hooks = nullptr;       // or none
    const RecycleOptions* recycle = nullptr;  // or never
    Logger* log = nullptr;                    // for the hooks
    InterpreterTeller teller = {};
    // For callbacks that are passed to Python where there is no task: in hooks.
    std::shared_ptr<python::CallbackGate> gate = nullptr;
  };

  WorkerThread(const Setup& setup, std::shared_ptr<InterpreterPlace> place);
  ~WorkerThread();
  WorkerThread(const WorkerThread&) = delete;
  WorkerThread& operator=(const WorkerThread&) = delete;

  /// The worker whose thread this is, or null.
  static WorkerThread* current() noexcept;

  /// Takes and runs tasks until stop(). `state`: of this thread in the interpreter, detached;
  /// empty: it is made when the first task comes. The thread stays this worker's, for what Python does while
  /// it ends, until leave() or retire().
  void run(python::ThreadState state = {}) noexcept;
  /// After run(), on the same thread: see Membership::leave.
  bool leave(std::chrono::steady_clock::time_point deadline);
  /// After run(), for an owner that ends the thread itself: it is no worker's any more.
  void retire() noexcept;
  /// After run(): its thread state, for an owner that ends the thread itself.
  python::ThreadState& state() noexcept { return membership_.state(); }

  /// Makes run() return once it has no task at hand. Does not wait.
  void stop() noexcept;
  /// Tells the executor's admission about the tasks settled here since the last time. Done by the worker
  /// every few tasks and whenever it runs out of them; by others when it is stuck.
  void report_settled() noexcept;
  /// A reference to the task that runs here now, or none.
  TaskRef<TaskBase> running() noexcept;

  /// What others have to know of it while it waits for `task`; on its thread.
  [[nodiscard]] BlockedWorker blocked_by(const TaskBase& task) noexcept;

  [[nodiscard]] Lane lane() const noexcept { return setup_.lane; }
  [[nodiscard]] std::size_t index() const noexcept { return setup_.index; }
  /// "pinned-0", "pooled-3" or "main"
  [[nodiscard]] const std::string& id() const noexcept { return id_; }
  /// The task that runs, or null; for the worker's own thread.
  [[nodiscard]] const TaskBase* current_task() const noexcept { return task_; }
  [[nodiscard]] const WorkerCounts& counts() const noexcept { return counts_; }
  /// Somebody has given up the task that runs here.
  void count_abandoned() noexcept { counts_.abandoned.fetch_add(1, std::memory_order_relaxed); }
  [[nodiscard]] const std::shared_ptr<python::CallbackGate>& gate() const noexcept { return setup_.gate; }
  [[nodiscard]] InterpreterPlace& place() noexcept { return *place_; }
  /// The interpreter, for the worker's own thread; null: it has none now.
  [[nodiscard]] InterpreterHandle* interpreter() const noexcept { return membership_.interpreter(); }

 private:
  static constexpr std::uint32_t kReportAfter = 32;  // tasks
  static constexpr unsigned kYieldAfter = 32;        // tasks

  /// Sleeps until there may be a task; false: stopped.
  bool wait_for_work() noexcept;
  [[nodiscard]] bool maybe_work() const noexcept;
  /// Watches for tasks without sleeping; false: none came in time, or it is not this worker's turn.
  bool search() noexcept;
  // At both queues; see TaskQueue.
  bool sit_down() noexcept;
  void stand_up() noexcept;
  void arrived(bool warm) noexcept;
  TaskQueue::Seat seat_at(const TaskQueue& queue) const noexcept {
    return &queue == &own_ ? own_seat_ : shared_seat_;
  }
  TaskBase* take_from(TaskQueue& queue) noexcept;
  /// Drops the reference to the task at hand, if there is one.
  void put_down() noexcept;
  /// The next task, held by its queue until the next call, or null.
  TaskBase* next() noexcept;
  /// The same, after watching for one for a moment if there is none.
  TaskBase* next_or_linger() noexcept;
  /// Membership::enter, with its times.
  Membership::Entry enter() noexcept;
  /// Whether the interpreter exists that this thread would run tasks in.
  [[nodiscard]] bool warm() const noexcept;
  /// Lets other threads of the interpreter have the GIL.
  void yield() noexcept;
  /// The thread has nothing to do, as it has seen at `now`.
  void idle(Clock::time_point now) noexcept;
  /// Of a task that was claimed here: notes how long it has waited, if that is measured.
  void note_waiting(TaskBase& task) noexcept;
  /// A task of that executor runs on the main lane now.
  void begin_main(ExecutorCore& core) noexcept;
  /// Whether it serves several executors.
  [[nodiscard]] bool is_main() const noexcept { return setup_.admission == nullptr; }
  void execute(TaskBase& task, Worker& view) noexcept;
  /// Settles a claimed task, whose work has been destroyed.
  void settle(TaskBase& task, Failure&& failure) noexcept;
  /// Settles the next task with a failure, without running it.
  void fail_next(const Failure& failure) noexcept;
  /// The same with a task at hand.
  void fail(TaskBase& task, const Failure& failure) noexcept;

  const Setup setup_;
  const std::string id_;
  const std::shared_ptr<InterpreterPlace> place_;
  Parker parker_;
  TaskQueue& own_;  // the place's, for tasks addressed to its interpreter
  TaskQueue::Seat own_seat_ = 0;
  TaskQueue::Seat shared_seat_ = 0;
  std::atomic<bool> stopping_ = false;
  WorkerCounts counts_;
  std::atomic<std::uint64_t> settled_ = 0;  // by this thread, for the admission to know; written by it only
  // Apart from what the thread writes with each task.
  alignas(64) std::atomic<std::uint64_t> reported_ = 0;  // how many of settled_ have been

  // The thread's own.
  bool entered_ = true;  // the interpreter, when that was tried last: else chores wait
  bool seated_ = true;   // as the queues have it since the seats were made
  Membership membership_;
  const TaskBase* task_ = nullptr;
  Sampler gil_sampler_;
  Clock::time_point seen_;            // when it last looked at the clock while it waited for work
  Clock::duration gil_wait_told_{0};  // of the main lane: what executors have been told of it
  unsigned turn_ = 0;                 // which queue comes first, so that neither starves
  TaskQueue* took_from_ = nullptr;    // the queue that holds the task at hand for us
};

}  // namespace interpool::detail
