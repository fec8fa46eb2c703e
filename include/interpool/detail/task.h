// A task and the shared state of its future, in one allocation.
//
// The life of a task is one atomic word:
//
//     queued ──claim──▶ running ──▶ value
//       │                  │  └───▶ settling ──▶ failure      (its own failure, or a third party's)
//       └──▶ settling ──▶ failure                             (cancelled, timed out, closed)
//
// Whoever moves the word out of `queued` or `running` settles the task, so it is settled exactly
// once, whoever else tries. A worker writes the value into storage that only it touches, then tries
// to publish it; a third party that was faster wins, and the worker drops its value. The work (the
// callable and its arguments) belongs to whoever claimed the task: a task given up while it runs
// keeps it alive until its thread comes back.
#pragma once

#include <interpool/context_vars.h>
#include <interpool/detail/api.h>
#include <interpool/detail/clock.h>
#include <interpool/error.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <type_traits>
#include <utility>

namespace interpool {
class Worker;
}  // namespace interpool

namespace interpool::detail {

class ExecutorCore;
class TaskQueue;
class WaitCheck;

/// What a task has only when it was given options, or its executor has an observer.
struct TaskDetails {
  static constexpr std::size_t kNoSlot = std::numeric_limits<std::size_t>::max();

  std::string name;
  Clock::time_point deadline = Clock::time_point::max();
  std::size_t timer_slot = kNoSlot;  // the timekeeper's; guarded by its mutex
  ContextVars context;               // belongs to whoever has the work
  // For an observer; 0: there is none.
  std::uint64_t number = 0;
  Clock::time_point submitted;
  // Written by its worker, while others may give it up; 0: not yet. relaxed: a number.
  std::atomic<Clock::rep> started = 0;
};

/// What is to happen when a task settles. Called once, on the thread that settled it.
class INTERPOOL_API Continuation {
 public:
  virtual void upstream_settled() noexcept = 0;

 protected:
  ~Continuation() = default;
};

/// Tasks begin on a cache line of their own.
inline constexpr std::size_t kTaskAlignment = 64;
/// Memory of that alignment; `size` is the same for both. See src/runtime/task_memory.h.
INTERPOOL_API void* allocate_task(std::size_t size);
INTERPOOL_API void free_task(void* memory, std::size_t size) noexcept;

class INTERPOOL_API TaskBase {
 public:
  static void* operator new(std::size_t size) { return allocate_task(size); }
  static void operator delete(void* memory, std::size_t size) noexcept { free_task(memory, size); }

  enum Phase : std::uint32_t { kQueued, kRunning, kSettling, kValue, kFailure };

  TaskBase(const TaskBase&) = delete;
  TaskBase& operator=(const TaskBase&) = delete;

  void add_ref() noexcept {
    refs_.fetch_add(1, std::memory_order_relaxed);  // a new reference is made from an existing one
  }
  /// Makes the second reference of a task that nobody else has seen yet, hence relaxed.
  void add_first_ref() noexcept { refs_.store(2, std::memory_order_relaxed); }
  void release() noexcept {
    // acquire: the last one out destroys what all the others wrote. A count of one cannot change
    // under us, which saves the read-modify-write for the common last release.
    if (refs_.load(std::memory_order_acquire) == 1 || refs_.fetch_sub(1, std::memory_order_acq_rel) == 1)
      delete this;
  }

  /// Whether the caller's reference is the last one. acquire: what others did before they let go is seen.
  [[nodiscard]] bool only_reference() const noexcept { return refs_.load(std::memory_order_acquire) == 1; }

  // --- the future's side; each may be called from any thread -----------------------------------

  [[nodiscard]] bool settled() const noexcept {
    return phase(state_.load(std::memory_order_acquire)) >= kValue;  // acquire: the outcome is read next
  }
  [[nodiscard]] bool has_value() const noexcept {
    return phase(state_.load(std::memory_order_acquire)) == kValue;  // acquire: as in settled()
  }
  /// The failure of a task that settled without a value.
  [[nodiscard]] const Failure& failure() const noexcept { return failure_; }

  /// Blocks until the task settles; releases a GIL that the calling thread holds meanwhile. Throws
  /// DeadlockError on a worker if no other could ever bring the task on; see src/runtime/blocked_workers.h.
  void wait();
  /// The same with an end; false when that came first.
  bool wait_until(Clock::time_point deadline);
  /// Settles the task as cancelled if it has not started. False when it has, or has settled.
  bool cancel() noexcept;
  /// `next` is told when the task settles: at once when it has. At most one per task.
  void set_continuation(Continuation& next) noexcept;

  // --- the side of whoever runs or settles it --------------------------------------------------

  /// Takes a queued task for running. False when a third party has settled it.
  bool claim() noexcept { return move_to(kQueued, kRunning); }
  /// Takes the right to settle with a failure, from `from`. False when somebody else was faster.
  bool begin_settling(Phase from) noexcept { return move_to(from, kSettling); }
  /// Runs the work of a claimed task. Null when the value is in its storage, ready to be published.
  virtual Failure run(Worker* worker) noexcept = 0;
  /// Destroys the callable and the arguments of a task; done by whoever claimed it, or took it from
  /// `queued` to `settling`.
  virtual void drop_work() noexcept = 0;
  /// The same, and the values of its context.
  void drop() noexcept {
    drop_work();
    if (details_) details_->context = {};
  }
  /// Destroys the work of a task that was never queued, unless somebody has cancelled it.
  void drop_unqueued() noexcept {
    if (begin_settling(kQueued)) drop();
  }
  /// Publishes what run() produced. False when a third party settled the task meanwhile; then a value has
  /// to be dropped.
  bool settle_run(Failure&& failure) noexcept {
    if (failure) return settle_run_failure(std::move(failure));
    // relaxed, here and when the exchange fails: only a guess, or a defeat that reads nothing more.
    std::uint32_t state = state_.load(std::memory_order_relaxed);
    do {
      if (phase(state) != kRunning) return false;
      // release: the value. acquire: the continuation that a flag announces.
    } while (!state_.compare_exchange_weak(state, (state & ~kPhaseMask) | kValue, std::memory_order_acq_rel,
                                           std::memory_order_relaxed));
    if ((state & ~kPhaseMask) != 0) announce(state);
    return true;
  }
  /// After it was settled while it runs, because its executor had to end: for what waits behind it.
  virtual void given_up(const Failure& /*failure*/) noexcept {}
  /// Publishes a failure after begin_settling().
  void settle_failure(Failure failure) noexcept;
  /// The executor that was to run it, as Work, has dropped it.
  virtual void refuse() noexcept;

  [[nodiscard]] const std::string& name() const noexcept;
  [[nodiscard]] TaskDetails* details() noexcept { return details_.get(); }
  void set_details(std::unique_ptr<TaskDetails> details) noexcept { details_ = std::move(details); }
  [[nodiscard]] ExecutorCore* core() const noexcept { return core_; }

  /// Whether nobody but workers that are stuck could bring it on, for certain.
  [[nodiscard]] bool stuck(const WaitCheck& check) const noexcept;

  /// Destroys the value of a task that lost the race to publish it.
  virtual void drop_value() noexcept = 0;
  /// Whether its worker still has to settle it, as far as can be seen. relaxed: settle_run() knows; and a
  /// task that has left `running` never comes back to it.
  [[nodiscard]] bool running() const noexcept {
    return phase(state_.load(std::memory_order_relaxed)) == kRunning;
  }

 protected:
  explicit TaskBase(ExecutorCore* core) noexcept : core_(core) {}
  virtual ~TaskBase();
  /// stuck(), of a task that nobody has begun to settle. Here, for those that wait in a queue.
  [[nodiscard]] virtual bool needs_stuck(const WaitCheck& check) const noexcept;
  /// The name of the called function, for errors of a task that was given no name.
  [[nodiscard]] virtual const std::string& default_name() const noexcept;

  static constexpr std::uint32_t kPhaseMask = 7;
  static constexpr std::uint32_t kWaiter = 8;         // somebody sleeps on state_
  static constexpr std::uint32_t kContinuation = 16;  // continuation_ is set
  static constexpr Phase phase(std::uint32_t state) noexcept {
    return static_cast<Phase>(state & kPhaseMask);
  }

 private:
  friend class TaskQueue;
  friend class ExecutorCore;

  /// settled(), for somebody who would wait otherwise.
  [[nodiscard]] bool ready() const noexcept;
  /// Spins, then calls `before_sleep` once, and sleeps. Without a GIL.
  template <class BeforeSleep>
  bool wait_until(Clock::time_point deadline, BeforeSleep before_sleep);
  bool move_to(Phase from, Phase to) noexcept {
    // relaxed, here and when the exchange fails: as in settle_run().
    std::uint32_t state = state_.load(std::memory_order_relaxed);
    do {
      if (phase(state) != from) return false;
      // acquire: what the previous phase wrote belongs to us now.
    } while (!state_.compare_exchange_weak(state, (state & ~kPhaseMask) | to, std::memory_order_acquire,
                                           std::memory_order_relaxed));
    return true;
  }
  bool settle_run_failure(Failure&& failure) noexcept;
  void announce(std::uint32_t state) noexcept;

  // The phase and the flags. Every write is a read-modify-write, so that what is published with a flag or by
  // settling is seen by whoever acquires any later state.
  std::atomic<std::uint32_t> state_ = kQueued;
  // relaxed where it rises, since that hands nothing over; acq_rel where it falls, for the last one out.
  std::atomic<std::uint32_t> refs_ = 1;
  // How long a waiter spins before it sleeps; set before the task is queued.
  std::uint32_t spin_nanoseconds_ = 0;
  // Whether the queue holds the task, and its place there; guarded by that queue.
  bool queued_ = false;
  // How many tasks it stands for as one whose time in the queue is measured, since then; 0: it is not. Set
  // before the task is queued.
  std::uint8_t timed_for_ = 0;
  Clock::rep queued_at_ = 0;
  TaskBase* previous_ = nullptr;
  TaskBase* next_ = nullptr;
  // Set before the task is queued; alive until it has settled.
  TaskQueue* queue_ = nullptr;
  // The executor the task was accepted by, which outlives it until it is settled; null for others.
  ExecutorCore* const core_;
  std::unique_ptr<TaskDetails> details_;
  Continuation* continuation_ = nullptr;  // published by kContinuation
  Failure failure_;                       // published by kFailure
};

/// Owns one reference to a task.
template <class Task>
class TaskRef {
 public:
  TaskRef() = default;
  /// Takes over a reference.
  explicit TaskRef(Task* task) noexcept : task_(task) {}
  static TaskRef share(Task& task) noexcept {
    task.add_ref();
    return TaskRef(&task);
  }
  TaskRef(TaskRef&& other) noexcept : task_(std::exchange(other.task_, nullptr)) {}
  TaskRef& operator=(TaskRef&& other) noexcept {
    if (this != &other) reset(std::exchange(other.task_, nullptr));
    return *this;
  }
  TaskRef(const TaskRef&) = delete;
  TaskRef& operator=(const TaskRef&) = delete;
  ~TaskRef() { reset(); }

  void reset(Task* task = nullptr) noexcept {
    if (Task* old = std::exchange(task_, task)) old->release();
  }
  [[nodiscard]] Task* leak() noexcept { return std::exchange(task_, nullptr); }
  [[nodiscard]] Task* get() const noexcept { return task_; }
  Task* operator->() const noexcept { return task_; }
  Task& operator*() const noexcept { return *task_; }
  explicit operator bool() const noexcept { return task_ != nullptr; }

 private:
  Task* task_ = nullptr;
};

/// Turns the exception being handled into a failure.
INTERPOOL_API Failure current_failure(const ErrorContext& context) noexcept;

/// Stands in for a value of type void.
struct Unit {};
template <class R>
using ValueOf = std::conditional_t<std::is_void_v<R>, Unit, R>;

/// The part of a task that its future knows: where the value goes.
template <class R>
class TaskState : public TaskBase {
 public:
  /// Moves the value out of a task that has one.
  ValueOf<R> take_value() { return std::move(*value()); }

 protected:
  using TaskBase::TaskBase;
  ~TaskState() override {
    if (has_value()) TaskState::drop_value();
  }
  void drop_value() noexcept override { std::destroy_at(value()); }
  /// Raw storage for the value; constructed into by run(), before it is published.
  void* storage() noexcept { return static_cast<void*>(storage_); }

 private:
  ValueOf<R>* value() noexcept { return std::launder(reinterpret_cast<ValueOf<R>*>(storage_)); }

  static_assert(alignof(ValueOf<R>) <= kTaskAlignment,
                "interpool: a result cannot be aligned to more than 64 bytes");
  alignas(ValueOf<R>) std::byte storage_[sizeof(ValueOf<R>)];
};

/// A task that runs a C++ callable, which takes a Worker& or nothing.
template <class R, class F>
class CallableTask final : public TaskState<R> {
 public:
  template <class G>
  CallableTask(ExecutorCore* core, G&& work) : TaskState<R>(core), work_(std::forward<G>(work)) {}
  // The work is destroyed by drop_work(), at a defined time, and not here.
  ~CallableTask() override {}

  Failure run(Worker* worker) noexcept override {
    try {
      if constexpr (std::is_void_v<R>) {
        call(worker);
        new (this->storage()) Unit();
      } else {
        new (this->storage()) R(call(worker));
      }
      return nullptr;
    } catch (...) {
      return current_failure({.task = this->name()});
    }
  }
  void drop_work() noexcept override { work_.~F(); }

 private:
  decltype(auto) call(Worker* worker) {
    if constexpr (std::is_invocable_v<F&, Worker&>) {
      return work_(*worker);
    } else {
      return work_();
    }
  }

  static_assert(alignof(F) <= kTaskAlignment,
                "interpool: a callable cannot be aligned to more than 64 bytes: let it hold its data by a "
                "std::unique_ptr");
  union {
    F work_;
  };
};

}  // namespace interpool::detail
