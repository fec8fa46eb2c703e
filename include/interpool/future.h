// Future<T>: the one result of one task.
#pragma once

#include <interpool/detail/api.h>
#include <interpool/detail/clock.h>
#include <interpool/detail/task.h>
#include <interpool/error.h>
#include <interpool/result.h>

#include <atomic>
#include <chrono>
#include <concepts>
#include <coroutine>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace interpool {

namespace detail {
struct WorkAccess;
}  // namespace detail

/// A piece of work handed to an Executor: call it once, or destroy it unrun, which settles the future behind
/// it with ShutdownError, or has callback_executor() resume with that error the coroutine behind it.
/// Move-only.
class INTERPOOL_API Work {
 public:
  /// For the library: executors get theirs made.
  explicit Work(detail::TaskRef<detail::TaskBase> task) noexcept : task_(std::move(task)) {}
  Work(Work&&) noexcept = default;
  /// What this one held is destroyed, unrun.
  Work& operator=(Work&&) noexcept;
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;
  ~Work();

  /// Runs it on the calling thread, which should hold no GIL, and settles the future behind it. Does nothing
  /// the second time, or when that future has been cancelled.
  void operator()() noexcept;

 private:
  friend struct detail::WorkAccess;
  void refuse() noexcept;
  detail::TaskRef<detail::TaskBase> task_;
};

namespace detail {
class ContinuationTarget;

struct WorkAccess {
  static TaskRef<TaskBase> task(const Work& work) noexcept { return TaskRef<TaskBase>::share(*work.task_); }
};
}  // namespace detail

/// Where continuations run. A SubinterpreterExecutor is one; a host wraps its event loop in another.
class INTERPOOL_API Executor {
 public:
  Executor() = default;
  virtual ~Executor();
  /// Runs `work` once, later, on a thread of this executor. Must not run it inside this call, and
  /// must not block: it is called by whoever settles a future. Called from any thread.
  virtual void execute(Work work) = 0;

 private:
  friend class detail::ContinuationTarget;
  /// What is behind an executor of the library's own, and survives it. Null for others.
  [[nodiscard]] virtual std::shared_ptr<detail::ExecutorCore> behind() const { return nullptr; }
};

/// A thread of the library's own on which continuations run that name no executor, one at a time,
/// in the order in which their futures settled. It never holds a GIL. Lives as long as the process.
INTERPOOL_API Executor& callback_executor();

template <class T>
class Future;

namespace detail {

template <class T>
struct FutureAccess;

template <class R, class T, class F>
class ContinuationTask;

template <class T>
class FutureAwaiter;

/// Throws UsageError: the future was moved from, or its result was taken.
[[noreturn]] INTERPOOL_API void fail_no_state();

/// Where a continuation goes. An executor of the library's own may have been destroyed by then, and
/// refuses it; others have to live.
class INTERPOOL_API ContinuationTarget {
 public:
  explicit ContinuationTarget(Executor& executor) : executor_(executor), core_(executor.behind()) {}
  /// Hands the work over, releasing a GIL that the calling thread holds meanwhile. The work may have run,
  /// and this be gone, when it returns.
  void dispatch(Work work) const noexcept;
  /// Whether only workers that are stuck take work there.
  [[nodiscard]] bool stuck(const WaitCheck& check) const noexcept;

 private:
  Executor& executor_;
  const std::shared_ptr<ExecutorCore> core_;
};

/// The task that another one waits for, for whoever looks into that on another thread.
class INTERPOOL_API UpstreamLink {
 public:
  /// Before anybody can look. relaxed: the task is published later.
  void set(const TaskBase& task) noexcept { task_.store(&task, std::memory_order_relaxed); }
  /// Nobody looks at the task any more when it returns.
  void clear() noexcept;
  /// Whether the task is there, and stuck.
  [[nodiscard]] bool stuck(const WaitCheck& check) const noexcept;

 private:
  std::atomic<const TaskBase*> task_ = nullptr;
};

/// Waits for a future's task on behalf of a coroutine that is suspended meanwhile, then goes to an executor
/// as Work that resumes it.
class INTERPOOL_API ResumeTask final : public TaskState<void>, private Continuation {
 public:
  ResumeTask(Executor& executor, std::coroutine_handle<> coroutine)
      : TaskState(nullptr), target_(executor), coroutine_(coroutine) {}

  /// Once. The coroutine may have gone on, and ended, when it returns.
  void attach(TaskBase& upstream) noexcept;
  /// The coroutine is destroyed where it stands: nobody resumes it from now on.
  void detach() noexcept { (void)begin_settling(kQueued); }
  /// Whether the executor has dropped the Work; for the coroutine, once it goes on.
  [[nodiscard]] bool refused() const noexcept { return refused_; }

  Failure run(Worker* worker) noexcept override;
  void drop_work() noexcept override {}
  void refuse() noexcept override;

 private:
  void upstream_settled() noexcept override;

  const ContinuationTarget target_;
  std::coroutine_handle<> coroutine_;
  bool refused_ = false;
};

/// What a settled task has, as a Result; once.
template <class T>
Result<T> take_result(TaskState<T>& task) {
  if (!task.has_value()) return Result<T>(task.failure());
  if constexpr (std::is_void_v<T>) {
    return Result<T>();
  } else {
    return Result<T>(task.take_value());
  }
}
/// The value of a settled task; throws its error, as its own type. Once.
template <class T>
T take_value_or_throw(TaskState<T>& task) {
  if (!task.has_value()) task.failure()->raise();
  if constexpr (!std::is_void_v<T>) return task.take_value();
}

}  // namespace detail

/// The result of a task, once: a value or an Error. Settled exactly once, whatever happens to the
/// task, its worker or its executor; never a "broken promise".
///
/// Thread safety: one thread at a time uses a Future; it may be another one than made it, and the
/// executor and even the Runtime may be gone. Waiting inside a task is allowed and releases that
/// worker's GIL; a wait there that closes a circle throws DeadlockError; see wait().
/// Destroying a Future neither waits nor cancels: the task runs, and its result is dropped.
template <class T>
class [[nodiscard]] Future {
 public:
  /// A future without a task; valid() is false.
  Future() = default;
  Future(Future&&) noexcept = default;
  Future& operator=(Future&&) noexcept = default;
  Future(const Future&) = delete;
  Future& operator=(const Future&) = delete;

  /// False for a default-constructed or moved-from future, and after get(), result(), then(), on() or
  /// co_await.
  [[nodiscard]] bool valid() const noexcept { return static_cast<bool>(task_); }
  /// Whether the result is there.
  [[nodiscard]] bool ready() const { return state().settled(); }

  /// Blocks until the task settles: it has run, its deadline has passed before it started, it was cancelled,
  /// or its executor has ended. Any GIL that the caller holds is released meanwhile.
  ///
  /// Inside a task it throws DeadlockError rather than wait for ever: if no worker could bring the other task
  /// on but this one and those that wait, in the end, for this one. So it is where workers wait for each
  /// other's tasks, and where all workers of a pool wait for tasks that are queued behind them (a nested fork
  /// and join): the last one to wait gets the error, and the others go on once its task has ended. Nothing
  /// else changes; the other task stays what it is. It is looked for before the thread goes to sleep.
  ///
  /// Only what is certain is an error. These count as able to end a wait: threads that are not workers,
  /// callback_executor() among them, whatever they wait for; a deadline of the task; workers that wait for a
  /// time, for room in a queue, or for an executor to drain or stop. A circle through one of them is not
  /// recognised. That somebody outside will cancel the task, or end its executor, is not counted on.
  void wait() const { state().wait(); }
  /// The same for a time; false when the result is still not there then. Never throws DeadlockError.
  template <class Rep, class Period>
  bool wait_for(std::chrono::duration<Rep, Period> time) const {
    return state().wait_until(detail::after(time));
  }
  /// The same until a point in time.
  bool wait_until(std::chrono::steady_clock::time_point deadline) const {
    return state().wait_until(deadline);
  }

  /// Waits as wait() does, with what can deadlock there, then moves the value out or throws the task's error,
  /// as its own type. Once.
  T get() {
    state().wait();
    const auto task = std::move(task_);
    return detail::take_value_or_throw(*task);
  }

  /// Waits as wait() does, then moves the value or the error out, without throwing it. Once.
  Result<T> result() {
    state().wait();
    const auto task = std::move(task_);
    return detail::take_result(*task);
  }

  /// Settles the task with CancelledError if it has not started; its callable and arguments are
  /// destroyed in this call. False when it has started or settled: its result will come.
  bool cancel() { return state().cancel(); }

  /// Runs `next` with this future's Result once it settles, on `executor`, never under a GIL that
  /// `next` did not take itself, and never inside this call. Takes this future's place; the new
  /// future has what `next` returns or throws. `next` dies where it ran; or, unrun, with
  /// CancelledError where the new future is cancelled and with ShutdownError where the executor
  /// drops it. A SubinterpreterExecutor that is gone by then drops it; any other `executor` must
  /// live until this future has settled.
  template <class F>
  auto then(Executor& executor, F next) -> Future<std::invoke_result_t<F&, Result<T>>> {
    using R = std::invoke_result_t<F&, Result<T>>;
    static_assert(alignof(detail::ContinuationTask<R, T, F>) <= detail::kTaskAlignment,
                  "interpool: a callable cannot be aligned to more than 64 bytes");
    state();
    auto* continuation = new detail::ContinuationTask<R, T, F>(executor, std::move(task_), std::move(next));
    auto future = detail::FutureAccess<R>::make(detail::TaskRef<detail::TaskState<R>>(continuation));
    continuation->attach();
    return future;
  }
  /// The same on callback_executor().
  template <class F>
  auto then(F next) {
    return then(callback_executor(), std::move(next));
  }

  /// In a coroutine, `T value = co_await future.on(executor);` suspends it until this future settles, and has
  /// `executor` resume it, as it runs what is given to then(): never under a GIL, and never inside this call,
  /// also when the result is there already. Then moves the value out or throws the task's error. Takes this
  /// future's place; what on() returns is for co_await alone, once.
  ///
  /// If `executor` drops the Work, callback_executor() resumes the coroutine, with ShutdownError. (Were there
  /// no memory left for that, the thread that dropped it would.) What escapes from the coroutine when it is
  /// resumed ends the process.
  ///
  /// A coroutine may be destroyed where it is suspended, on a thread on which nothing resumes it meanwhile:
  /// on that of an executor with just one, say. The result is dropped then. Any other destruction races with
  /// its resumption.
  ///
  /// A Worker& that a task was given is of no use after a co_await in it, as the task has returned by then.
  auto on(Executor& executor) {
    state();
    return detail::FutureAwaiter<T>(executor, std::move(task_));
  }
  /// The same on callback_executor(): `T value = co_await pool.call<T>(…);`
  auto operator co_await() { return on(callback_executor()); }

 private:
  friend struct detail::FutureAccess<T>;

  explicit Future(detail::TaskRef<detail::TaskState<T>> task) noexcept : task_(std::move(task)) {}
  detail::TaskState<T>& state() const {
    if (!task_) detail::fail_no_state();
    return *task_;
  }

  detail::TaskRef<detail::TaskState<T>> task_;
};

namespace detail {

template <class T>
struct FutureAccess {
  static Future<T> make(TaskRef<TaskState<T>> task) noexcept { return Future<T>(std::move(task)); }
  /// Leaves the future without a task. Throws UsageError where it had none.
  static TaskRef<TaskState<T>> take(Future<T>& future) {
    future.state();
    return std::move(future.task_);
  }
};

template <class R, class Task, class... Args>
std::pair<Future<R>, TaskRef<TaskBase>> make_task(Args&&... args) {
  static_assert(!std::is_reference_v<R>, "interpool: a task returns a value, not a reference");
  auto* task = new Task(std::forward<Args>(args)...);
  task->add_first_ref();
  return {FutureAccess<R>::make(TaskRef<TaskState<R>>(task)), TaskRef<TaskBase>(task)};
}

/// The task behind then(): waits for `upstream`, then goes to an executor as Work.
///
/// The upstream task refers to it (as its continuation) and it refers to the upstream; the circle
/// opens when the upstream settles, which every task does.
template <class R, class T, class F>
class ContinuationTask final : public TaskState<R>, private Continuation {
 public:
  ContinuationTask(Executor& executor, TaskRef<TaskState<T>> upstream, F&& next)
      : TaskState<R>(nullptr), target_(executor), upstream_(std::move(upstream)), next_(std::move(next)) {}

  void attach() noexcept {
    this->add_ref();  // held by the upstream, handed on in upstream_settled()
    // A reference of our own: the upstream may settle, and the work run, inside the call.
    const auto upstream = TaskRef<TaskState<T>>::share(*upstream_);
    link_.set(*upstream);
    upstream->set_continuation(*this);
  }

  Failure run(Worker* /*worker*/) noexcept override {
    try {
      if constexpr (std::is_void_v<R>) {
        (*next_)(upstream_result());
        new (this->storage()) Unit();
      } else {
        new (this->storage()) R((*next_)(upstream_result()));
      }
      return nullptr;
    } catch (...) {
      return current_failure({.task = this->name()});
    }
  }
  void drop_work() noexcept override { next_.reset(); }

 private:
  void upstream_settled() noexcept override {
    link_.clear();  // the reference to it may be dropped from now on
    target_.dispatch(Work(TaskRef<TaskBase>(static_cast<TaskBase*>(this))));
  }
  [[nodiscard]] bool needs_stuck(const WaitCheck& check) const noexcept override {
    return link_.stuck(check) || target_.stuck(check);
  }
  Result<T> upstream_result() {
    const auto upstream = std::move(upstream_);
    return take_result(*upstream);
  }

  const ContinuationTarget target_;
  TaskRef<TaskState<T>> upstream_;
  UpstreamLink link_;
  std::optional<F> next_;
};

/// Lives in the coroutine while that is suspended. What others hold then is the ResumeTask.
template <class T>
class [[nodiscard]] FutureAwaiter {
 public:
  FutureAwaiter(Executor& executor, TaskRef<TaskState<T>> task) noexcept
      : executor_(executor), task_(std::move(task)) {}
  FutureAwaiter(const FutureAwaiter&) = delete;
  FutureAwaiter& operator=(const FutureAwaiter&) = delete;
  ~FutureAwaiter() {
    if (resume_) resume_->detach();
  }

  bool await_ready() const {
    if (!task_) fail_no_state();
    return false;
  }
  void await_suspend(std::coroutine_handle<> coroutine) {
    resume_.reset(new ResumeTask(executor_, coroutine));
    // References of our own: the coroutine may go on, and this be gone, inside the call.
    const auto resume = TaskRef<ResumeTask>::share(*resume_);
    const auto task = TaskRef<TaskState<T>>::share(*task_);
    resume->attach(*task);
  }
  T await_resume() {
    const auto resume = std::move(resume_);
    const auto task = std::move(task_);
    if (resume->refused()) {
      throw ShutdownError("the executor that was to resume the coroutine did not run it",
                          {.task = task->name()});
    }
    return take_value_or_throw(*task);
  }

 private:
  Executor& executor_;
  TaskRef<TaskState<T>> task_;
  TaskRef<ResumeTask> resume_;
};

}  // namespace detail

}  // namespace interpool
