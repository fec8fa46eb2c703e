// ExecutorCore: what is behind a SubinterpreterExecutor and its Submitters.
#pragma once

#include "base/mutex.h"
#include "base/thread.h"
#include "interpool/executor.h"
#include "interpool/observer.h"
#include "runtime/admission.h"
#include "runtime/blocked_workers.h"
#include "runtime/callback_gate.h"
#include "runtime/journal.h"
#include "runtime/statistics.h"
#include "runtime/stop_once.h"
#include "runtime/task_queue.h"
#include "runtime/worker_thread.h"

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace interpool::detail {

class AttachedWorker;
class Broadcast;
class RuntimeCore;

/// Throws a UsageError that begins with `what` unless `name` can be a module's.
void check_module_name(const char* what, std::string_view name);

/// One participant in the process' work: its admission, its queues and workers, its accounts.
///
/// Every step of a task's life passes one of a few functions, where an observer is told:
///
///   accepted     accept, whose work enqueue does; execute, for continuations. Both end in TaskQueue::push
///   starts       claimed in WorkerThread::execute, or in fail_next when there is no interpreter for it
///                (forget_deadline comes after that, but also for tasks that never start)
///   settled      by its worker: WorkerThread::settle, which on the main lane hands on to settle_run;
///                cancelled or out of time while it was queued: settle_as_third_party;
///                given up while it ran: abandon_running
///
/// A task that is in flight keeps the core alive, because stop() waits for the last one, or else leaves the
/// core to the threads that are still in it.
///
/// Shared-owned by the executor, its Submitters and its threads.
class ExecutorCore : public std::enable_shared_from_this<ExecutorCore> {
 public:
  /// Checks the options; throws UsageError.
  static ExecutorOptions check_options(ExecutorOptions options);

  ExecutorCore(std::shared_ptr<RuntimeCore> runtime, ExecutorOptions options);
  ~ExecutorCore();
  ExecutorCore(const ExecutorCore&) = delete;
  ExecutorCore& operator=(const ExecutorCore&) = delete;

  /// Starts the threads; once.
  void start();

  // --- a task's way in -------------------------------------------------------------------------

  /// Queues the task, whose reference it takes over, or returns why not, with its work destroyed.
  /// Waits for room if `may_wait`, without a GIL.
  Failure accept(Address address, const CallOptions& options, TaskRef<TaskBase> task, bool may_wait) noexcept;
  /// Queues it whatever the capacity; see SubinterpreterExecutor::execute. The work may have run, and its
  /// executor be gone, when it returns: the caller keeps the core.
  void execute(Work work);
  /// An interpreter's queue and threads; `address` is not for anyone.
  [[nodiscard]] InterpreterPlace& place(Address address) const noexcept;
  /// Where that interpreter is: one of ours, or else the main one.
  [[nodiscard]] Address address_of(const InterpreterPlace& place) const noexcept;
  /// An interpreter for who names none: of the pooled ones, if there are any, in turn.
  [[nodiscard]] Address next_interpreter() noexcept;
  /// Makes the broadcast a step of every interpreter; those that are there, to be asked. Throws
  /// ShutdownError.
  std::vector<Address> begin(const std::shared_ptr<Broadcast>& broadcast);
  /// Throws UsageError for a pinned worker that does not exist.
  [[nodiscard]] Address pinned(std::size_t index) const;

  // --- and out ---------------------------------------------------------------------------------

  /// It has been claimed, by its worker or by a third party that settles it unrun: its deadline no longer
  /// matters.
  static void forget_deadline(TaskBase& task) noexcept;
  /// A worker that serves several executors has run it and destroyed its work. The workers of one
  /// executor settle and count by themselves.
  static void settle_run(TaskBase& task, Failure&& failure) noexcept;
  /// The timekeeper: its deadline has passed.
  static void expire(TaskBase& task) noexcept;
  /// A worker that is about to run it: whether its deadline has passed, and it has been settled so.
  static bool expire_if_late(TaskBase& task) noexcept {
    if (!task.details_ || Clock::now() < task.details_->deadline) return false;
    expire(task);
    return true;
  }
  /// Future::cancel: the caller has taken it from `queued` to `settling`.
  void finish_cancel(TaskBase& task, Failure failure) noexcept {
    settle_as_third_party(task, Outcome::kCancelled, std::move(failure));
  }

  // --- threads of the host that call by themselves ------------------------------------------------

  /// A worker for the calling thread; throws ShutdownError once closed.
  std::shared_ptr<AttachedWorker> add_attached() INTERPOOL_EXCLUDES(mutex_);
  /// Its interpreter has ended: only its numbers stay.
  void remove_attached(const AttachedWorker& worker) noexcept INTERPOOL_EXCLUDES(mutex_);

  // --- the end ---------------------------------------------------------------------------------

  void close() noexcept;
  [[nodiscard]] bool closed() const noexcept { return admission_.closed(); }
  /// After close(): whether all has settled by then.
  bool wait_until_settled(Clock::time_point deadline);
  /// Their names.
  std::vector<std::string> cancel_queued(const char* reason);
  /// See SubinterpreterExecutor::stop.
  ExecutorReport stop(ExecutorStopOptions options);
  /// Whether the calling thread is a worker of this executor, or runs a task of it on the main lane, and so
  /// cannot wait for the executor.
  [[nodiscard]] bool in_own_task() const noexcept;
  /// The same, or whether it runs a callback that a task of this executor has passed to Python.
  [[nodiscard]] bool inside() const noexcept {
    return in_own_task() || callback_gate_->entered_by_this_thread();
  }
  /// Whether a continuation that is for its workers could not run, since all of them are stuck. Once it is
  /// closed it refuses continuations, for which it needs no worker.
  [[nodiscard]] bool stuck(const WaitCheck& check) const noexcept {
    return !admission_.closed() && check.all_stuck(shared_.get());
  }

  [[nodiscard]] TaskCounts counts() const noexcept INTERPOOL_EXCLUDES(mutex_);
  /// See SubinterpreterExecutor::stats.
  [[nodiscard]] ExecutorStats stats() const INTERPOOL_EXCLUDES(mutex_);
  /// Whether it is one of those whose time in the queue is measured; and that time, times the number of tasks
  /// that it stands for. For who has claimed it.
  [[nodiscard]] static bool is_timed(const TaskBase& task) noexcept { return task.timed_for_ != 0; }
  [[nodiscard]] static Clock::duration measured_wait(const TaskBase& task) noexcept {
    return (Clock::now().time_since_epoch() - Clock::duration(task.queued_at_)) * task.timed_for_;
  }
  /// Of its tasks on the main lane; written by the home thread.
  [[nodiscard]] WorkTimes& main_times() noexcept { return main_times_; }

  // --- for the observer; nothing happens without one -------------------------------------------

  /// Of a task with details that `worker` has claimed.
  static void tell_started(TaskBase& task, const std::string& worker) noexcept;
  /// Of a task that has settled, and is still referred to; `worker` is "" where it had none.
  static void tell_settled(const TaskBase& task, Outcome outcome, std::string_view worker) noexcept;
  [[nodiscard]] Observer* observer() const noexcept { return options_.observer.get(); }
  /// The next task's number.
  [[nodiscard]] std::uint64_t next_number() noexcept {
    return tasks_numbered_.fetch_add(1, std::memory_order_relaxed) + 1;  // it only tells them apart
  }
  /// How many of its interpreters exist.
  [[nodiscard]] std::size_t interpreters() const noexcept;
  /// Whether stop() has returned to somebody.
  [[nodiscard]] bool stopped() noexcept { return stop_.finished(); }
  [[nodiscard]] const ExecutorOptions& options() const noexcept { return options_; }
  [[nodiscard]] RuntimeCore& runtime() const noexcept { return *runtime_; }
  /// When interpreters are replaced; null: never.
  [[nodiscard]] const RecycleOptions* recycle() const noexcept {
    const RecycleOptions& recycle = options_.recycle;
    return recycle.after_tasks == 0 && recycle.after_bytes == 0 ? nullptr : &recycle;
  }
  /// Of the callbacks that its tasks pass to Python.
  [[nodiscard]] const std::shared_ptr<ExecutorGate>& callback_gate() const noexcept { return callback_gate_; }

 private:
  /// Those whose interpreters have not ended.
  std::vector<std::shared_ptr<AttachedWorker>> attached() const INTERPOOL_EXCLUDES(mutex_);
  static constexpr std::size_t kLanes = 4;
  /// By lane.
  [[nodiscard]] std::array<TaskCounts, kLanes> lane_counts() const noexcept INTERPOOL_REQUIRES(mutex_);
  /// What is counted of a lane besides what its workers count.
  struct Elsewhere;
  [[nodiscard]] Elsewhere& elsewhere(Lane lane) noexcept {
    return elsewhere_[static_cast<std::size_t>(lane)];
  }
  void set_details(TaskBase& task, const CallOptions& options, Clock::time_point deadline);
  /// Where it waits, or has waited, even if a worker has taken it meanwhile.
  [[nodiscard]] Lane lane_of(const TaskBase& task) const noexcept {
    return (task.queue_ == nullptr ? *shared_ : *task.queue_).lane();
  }
  static TaskEvent event_of(const TaskBase& task) noexcept;
  Failure enqueue(Address address, const CallOptions& options, TaskRef<TaskBase>& task, bool may_wait);
  [[nodiscard]] bool owns(const WorkerThread& worker) const noexcept;
  [[nodiscard]] TaskQueue& queue(Address address) noexcept;
  [[nodiscard]] ErrorContext context(const TaskBase& task) const;
  /// The rest of settling a task that begin_settling(kQueued) has given to the caller.
  void settle_as_third_party(TaskBase& task, Outcome outcome, Failure failure) noexcept;
  void abandon_running(std::vector<std::string>& names);
  /// How many interpreters were left standing.
  std::size_t end_workers(Clock::time_point deadline);
  void worker_ended() INTERPOOL_EXCLUDES(mutex_);
  ExecutorReport stop_once(ExecutorStopOptions options);
  /// The report of an end that is still under way.
  ExecutorReport report_so_far() const;

  // Constant after start().
  const std::shared_ptr<RuntimeCore> runtime_;
  const ExecutorOptions options_;
  std::unique_ptr<TaskQueue> shared_;
  std::vector<std::shared_ptr<InterpreterPlace>> places_;  // pinned first, then pooled
  std::vector<std::shared_ptr<WorkerThread>> workers_;     // pinned first, then pooled

  // Self-synchronised.
  alignas(64) Admission admission_;  // written by submitters with each task
  alignas(64) const std::shared_ptr<Journal> journal_ = std::make_shared<Journal>();
  const std::shared_ptr<ExecutorGate> callback_gate_ = std::make_shared<ExecutorGate>();
  std::atomic<std::size_t> next_interpreter_ = 0;  // relaxed: it only spreads objects
  std::atomic<bool> searching_ = false;            // one of the workers searches; see WorkerThread
  struct Elsewhere {
    // By the main lane's queue, and by threads that were attached.
    std::atomic<std::uint64_t> accepted = 0;
    // By Outcome: by third parties, on the main lane and by threads that were attached. relaxed where it is
    // written: settling the task, which comes next, publishes the number with the result.
    std::atomic<std::uint64_t> settled[5] = {};
    // Of tasks that others have settled; and all times of threads that were attached.
    TimeSum waiting;
    TimeSum running;
    TimeSum gil_wait;
  };
  Elsewhere elsewhere_[kLanes];
  WorkTimes main_times_;
  std::atomic<std::uint64_t> tasks_numbered_ = 0;
  // Of the workers' interpreters. Written before WorkerThread::stop, read after it was seen: release and
  // acquire say so, though stopping_ orders it already.
  std::atomic<Clock::rep> end_deadline_ = 0;
  StopOnce<ExecutorReport> stop_;

  mutable Mutex mutex_;
  CondVar changed_;
  std::vector<std::shared_ptr<AttachedWorker>> attached_ INTERPOOL_GUARDED_BY(mutex_);
  std::size_t next_attached_ INTERPOOL_GUARDED_BY(mutex_) = 0;
  std::vector<Thread> threads_ INTERPOOL_GUARDED_BY(mutex_);
  std::size_t workers_running_ INTERPOOL_GUARDED_BY(mutex_) = 0;
};

}  // namespace interpool::detail
