// SubinterpreterExecutor: Python on all cores.
#pragma once

#include <interpool/attached_thread.h>
#include <interpool/call_options.h>
#include <interpool/convert.h>
#include <interpool/detail/api.h>
#include <interpool/detail/broadcast.h>
#include <interpool/detail/call.h>
#include <interpool/detail/map.h>
#include <interpool/detail/task.h>
#include <interpool/future.h>
#include <interpool/object.h>
#include <interpool/observer.h>
#include <interpool/rest.h>
#include <interpool/result.h>
#include <interpool/runtime.h>
#include <interpool/stats.h>
#include <interpool/worker.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace interpool {

/// The workers for tasks that are addressed to none; see ExecutorOptions::pooled.
struct PooledOptions {
  /// How many threads, at most 4096. 0: none; or, without pinned workers either, one per core.
  std::size_t threads = 0;
  /// How many interpreters the threads share; thread k belongs to interpreter k mod this. 0: as many
  /// as threads. More threads than interpreters let blocking calls overlap within one interpreter.
  std::size_t interpreters = 0;
};

/// What a submission does when ExecutorOptions::queue_capacity tasks wait already.
enum class WhenFull : std::uint8_t {
  kBlock,   ///< submit() waits for room, until the task's deadline if it has one.
  kReject,  ///< submit() throws QueueFullError.
};

/// What each worker does when it starts and when it ends: pinned and pooled workers, and attached threads,
/// but not the main lane, which executors share. All run on the worker's thread, attached to its interpreter,
/// and may be called by several workers at once. Threads that share an interpreter have each their start and
/// stop.
struct WorkerHooks {
  /// Before the first task of a worker, once its interpreter is set up. What it throws is the WorkerError of
  /// the task at hand; the next task has all the start hooks run again.
  std::function<void(Worker&)> start = {};
  /// "module:function", called without arguments after `start`, in the same way. Empty: none.
  std::string python_start = {};
  /// After the last task of a worker whose start hooks have run, before it leaves its interpreter. What it
  /// throws is logged. It counts into the time that stop() has.
  std::function<void(Worker&)> stop = {};
  /// "module:function", called without arguments before `stop`. Empty: none.
  std::string python_stop = {};
};

/// When a worker gives its interpreter up and gets a new one, between two tasks: a remedy for Python code
/// that leaks, or whose state degrades. 0: never.
///
/// The new interpreter is made when its first task comes, and set up as the first one was: modules,
/// broadcasts and hooks. The old one's state is gone: what its modules held, and the objects behind handles
/// to it, whose calls fail with WorkerError. Before it ends the stop hooks run, Python's non-daemon threads
/// are waited for as long as they take, and atexit callbacks run.
///
/// Pooled threads that share an interpreter move on to the new one each when it has ended the task at hand;
/// the old one ends after the last of them. Until then no other interpreter of theirs is replaced, so that
/// there are two of them at most. Up to 3.13 CPython itself leaks about 1.6 MB with each interpreter that
/// ends.
struct RecycleOptions {
  /// After so many tasks, of all workers that share it, or calls of an attached thread.
  std::uint64_t after_tasks = 0;
  /// When it has so many bytes more than it had once it was set up: of small objects by the arena (1 MiB),
  /// and of larger blocks one by one; what extensions get from malloc() themselves is not seen. At least a
  /// MiB. UsageError where Python has other allocators than its usual ones, as a debug build has.
  std::size_t after_bytes = 0;
};

/// How an executor is made. Checked by its constructor, which throws UsageError.
struct ExecutorOptions {
  /// Names the executor's log lines, its statistics and, by its first 9 characters, the worker threads.
  std::string name = "interpool";
  /// Workers with a thread and an interpreter each, addressed by pinned(i); at most 4096.
  std::size_t pinned_workers = 0;
  /// Workers for tasks that are addressed to none. With no worker of either kind asked for, there is
  /// one pooled thread with an interpreter of its own per core.
  PooledOptions pooled = {};
  /// How many tasks may wait in a queue: in the one for unaddressed tasks, in that of each pinned
  /// worker, and in the main lane's, which all executors share.
  std::size_t queue_capacity = 1024;
  /// Whether submit() waits when a queue is full. try_submit() never does.
  WhenFull when_full = WhenFull::kBlock;
  /// Modules that every sub-interpreter of this executor imports before its first task. If one
  /// fails, the task at hand fails with WorkerError and the next one tries again.
  std::vector<std::string> preload = {};
  /// What each worker does when it starts and ends.
  WorkerHooks hooks = {};
  /// When interpreters are replaced; the main one never is.
  RecycleOptions recycle = {};
  /// Is told what happens to tasks and interpreters, for tracing; null: nobody. What Observer says of threads
  /// and locks holds.
  std::shared_ptr<Observer> observer = nullptr;
  /// How long a thread that has run out of work, or waits for a result, watches for news before it
  /// sleeps. A wake-up costs tens of microseconds, so this is what makes a busy round trip fast.
  /// One worker thread at a time does it. At most a second; 0: sleep at once.
  std::chrono::microseconds spin{50};
  /// How much stack each worker thread has, in bytes, rounded up to whole pages; at least 256 KiB. 0: the
  /// system's default, 8 MiB mostly. Python 3.14 and later raise RecursionError as far down as the stack
  /// allows. Older ones count calls, as many as fit into 8 MiB: with less, recursion in C code can end the
  /// process. The main lane has the system's default, attached threads have their own.
  std::size_t stack_size = 0;
  /// Which CPUs the worker threads run on: worker k on those of the list k mod size, pinned workers first,
  /// pooled ones after them. {{0}, {1}, {2, 3}}, say. Threads that Python code starts there run on the same.
  /// Empty: wherever the thread that makes the executor may run. The main lane and attached threads
  /// are left as they are.
  std::vector<std::vector<int>> cpu_affinity = {};
  /// Bounds the destructor; see SubinterpreterExecutor::stop.
  std::chrono::milliseconds stop_timeout = std::chrono::seconds(30);
};

/// Options of Submitter::map.
struct MapOptions {
  /// What an item that fails means for the others. With Rest::kRun all of them run to their end, and the
  /// future then has the error of the first item, in their order, that failed. With Rest::kCancel the
  /// first error in time settles the future at once, and items that have not started never do.
  Rest on_error = Rest::kRun;
};

/// How SubinterpreterExecutor::stop ends the work. Both times count from its call.
struct ExecutorStopOptions {
  /// How long accepted work may still run to its end, within `timeout`. What is queued after that is
  /// cancelled.
  std::chrono::milliseconds drain{0};
  /// Bounds what stop() waits for. What still runs then is abandoned; interpreters that are ending have half
  /// a second more.
  std::chrono::milliseconds timeout = std::chrono::seconds(30);
};

/// What SubinterpreterExecutor::stop did.
struct ExecutorReport {
  /// Of all that the executor ever accepted.
  TaskCounts tasks;
  /// Everything accepted settled without stop() giving any of it up: tasks ran to their end, and some may
  /// have been cancelled by others or have run out of time before that.
  bool drained = false;
  /// Names of the queued tasks that were cancelled; "" for one without a name.
  std::vector<std::string> cancelled;
  /// Names of the tasks that were running when the time was up.
  std::vector<std::string> abandoned;
  /// Interpreters that were not ended, because a task or thread is stuck in them.
  std::size_t interpreters_left = 0;
  /// Threads that are attached and not the caller's: their interpreters end when they let go of them.
  std::size_t attached_left = 0;
  /// Calls of C++ callbacks (see Callback) that had not returned: they still use what the callables refer to.
  std::size_t callbacks_left = 0;
};

template <class Signature>
class Function;

namespace detail {

/// Which interpreter a task is for.
struct Address {
  enum class To : std::uint8_t { kAny, kInterpreter, kMain };
  To to = To::kAny;
  std::size_t index = 0;   // of a sub-interpreter: the pinned workers', then the pooled ones
  bool unbounded = false;  // whatever the queue's capacity
};

// Each takes over one reference to a task that has not been queued. On failure its work has been
// destroyed and the reference dropped.
INTERPOOL_API void submit(ExecutorCore& core, Address address, const CallOptions& options,
                          TaskRef<TaskBase> task);
INTERPOOL_API Failure try_submit(ExecutorCore& core, Address address, const CallOptions& options,
                                 TaskRef<TaskBase> task) noexcept;
/// Throws UsageError for options that contradict each other.
INTERPOOL_API void check_call_options(const CallOptions& options);
/// One interpreter: the one that `address` names, or else the next one in turn.
INTERPOOL_API Address address_of_one(ExecutorCore& core, Address address);
/// Has the call made in every interpreter from now on; those that are there, and so are to be asked.
INTERPOOL_API std::pair<std::shared_ptr<Broadcast>, std::vector<Address>> begin_broadcast(ExecutorCore& core,
                                                                                          std::string name,
                                                                                          BroadcastCall call);
/// Imports the modules anew that an interpreter has imported, and has its functions looked up anew.
INTERPOOL_API BroadcastCall reload_call(std::vector<std::string> modules);
/// Throws UsageError unless `name` is "module:qualified.name".
INTERPOOL_API const FunctionEntry& function_entry(ExecutorCore& core, std::string_view name);

struct RuntimeAccess {
  static const std::shared_ptr<RuntimeCore>& core(const Runtime& runtime) noexcept { return runtime.core_; }
};

template <class F>
struct CallableResult {
  static_assert(std::is_invocable_v<F&, Worker&> || std::is_invocable_v<F&>,
                "interpool: a task is a callable that takes an interpool::Worker& or nothing");
};
template <class F>
  requires std::is_invocable_v<F&, Worker&>
struct CallableResult<F> : std::invoke_result<F&, Worker&> {};
template <class F>
  requires(!std::is_invocable_v<F&, Worker&> && std::is_invocable_v<F&>)
struct CallableResult<F> : std::invoke_result<F&> {};

}  // namespace detail

/// A way to submit tasks: to any worker, to a pinned one or to the main lane, with these options.
///
/// Executors are Submitters, and pinned(), main() and with() make others. Copies are cheap. It may
/// outlive its executor: submitting then throws ShutdownError. Use from any number of threads.
///
/// Blocking: submit(), call() and map() wait while the queue is full and the executor's policy is
/// kBlock; room, the task's deadline (TimeoutError) and the end of the executor (ShutdownError) end
/// the wait. A worker that would wait for its own executor gets DeadlockError instead. Any GIL that
/// the caller holds is released meanwhile.
///
/// Tasks: a callable is moved into its task; it runs on a worker's thread with that interpreter's GIL
/// held and is destroyed there before its future settles; if it never runs, it is destroyed by whoever
/// settles it. Arguments are stored owned, converted on the worker, and die like callables.
/// Tasks addressed to one worker, and tasks for the main lane, start in the order of their
/// submission; unaddressed ones are taken in that order by whichever worker is free.
class INTERPOOL_API Submitter {
 public:
  /// The same way with these options. Throws UsageError if both a timeout and a deadline are given, and for a
  /// context variable whose name is not "module:NAME".
  [[nodiscard]] Submitter with(CallOptions options) const;

  /// Runs a callable, with a Worker& if it takes one. Throws if it was not accepted.
  template <class F>
  auto submit(F&& work) const {
    using R = typename detail::CallableResult<std::decay_t<F>>::type;
    auto [future, task] =
        detail::make_task<R, detail::CallableTask<R, std::decay_t<F>>>(core_.get(), std::forward<F>(work));
    detail::submit(*core_, address_, options_, std::move(task));
    return std::move(future);
  }
  /// The same without waiting for room. A refusal is in the Result: QueueFullError, ShutdownError, or
  /// RuntimeStateError in a forked child. A deadline that has passed is no refusal: it settles the task.
  template <class F>
  auto try_submit(F&& work) const {
    using R = typename detail::CallableResult<std::decay_t<F>>::type;
    auto [future, task] =
        detail::make_task<R, detail::CallableTask<R, std::decay_t<F>>>(core_.get(), std::forward<F>(work));
    if (Failure failure = detail::try_submit(*core_, address_, options_, std::move(task))) {
      return Result<Future<R>>(std::move(failure));
    }
    return Result<Future<R>>(std::move(future));
  }

  /// Calls "module:qualified.name" with these arguments. The function is looked up (and its module
  /// imported) once per interpreter; each distinct name is kept for the life of the Runtime.
  template <class R, class... Args>
  Future<R> call(std::string_view function, Args&&... args) const {
    (detail::require_encodable<detail::Stored<Args>>(), ...);
    return call_entry<R, detail::Stored<Args>...>(detail::function_entry(*core_, function),
                                                  std::forward<Args>(args)...);
  }

  /// A Python function with a C++ signature, to call often: `pool.function<double(double)>("math:sqrt")`.
  template <class Signature>
  [[nodiscard]] Function<Signature> function(std::string_view name) const {
    return Function<Signature>(*this, detail::function_entry(*core_, name));
  }

  /// Makes a Python object that stays in one interpreter: calls "module:Class", or whatever else returns an
  /// object, with these arguments and keeps what it returns. Addressed to no interpreter in particular it
  /// takes one of the pooled ones in turn, or of the pinned workers' if there are none. Dropping the future
  /// drops the object.
  template <class... Args>
  Future<Object> create_async(std::string_view function, Args&&... args) const {
    (detail::require_encodable<detail::Stored<Args>>(), ...);
    const detail::FunctionEntry& entry = detail::function_entry(*core_, function);
    auto [future, task] = detail::make_task<Object, detail::CreateTask<detail::Stored<Args>...>>(
        core_.get(), entry, std::forward<Args>(args)...);
    detail::submit(*core_, detail::address_of_one(*core_, address_), options_, std::move(task));
    return std::move(future);
  }
  /// The same, waiting for it as Future::get does: it throws what making the object threw.
  template <class... Args>
  [[nodiscard]] Object create(std::string_view function, Args&&... args) const {
    return create_async(function, std::forward<Args>(args)...).get();
  }

  /// Calls the function once for each item, in parallel; the future has the results in the items'
  /// order, or one error; which, MapOptions::on_error says. Each item is a task. Cancelling the future
  /// cancels the items that have not started.
  template <class R, std::ranges::input_range Range>
  Future<std::vector<R>> map(std::string_view function, Range&& items, MapOptions options = {}) const {
    static_assert(!std::is_void_v<R>,
                  "interpool: map collects results; use call<void> for a function without one");
    using Item = detail::Stored<std::ranges::range_value_t<Range>>;
    detail::require_encodable<Item>();
    detail::require_decodable<R>();
    const detail::FunctionEntry& entry = detail::function_entry(*core_, function);
    detail::UnsubmittedTasks<R> tasks;
    if constexpr (std::ranges::sized_range<Range>) tasks.reserve(std::ranges::size(items));
    for (auto&& item : items) {
      tasks.add([&] {
        return new detail::PythonCallTask<R, Item>(core_.get(), entry, std::forward<decltype(item)>(item));
      });
    }
    auto map = detail::TaskRef<detail::MapTask<R>>(new detail::MapTask<R>(tasks, options.on_error));
    auto future = detail::FutureAccess<std::vector<R>>::make(
        detail::TaskRef<detail::TaskState<std::vector<R>>>::share(*map));
    map->start([&](detail::TaskRef<detail::TaskBase> task) {
      detail::submit(*core_, address_, options_, std::move(task));
    });
    return future;
  }

 protected:
  Submitter(std::shared_ptr<detail::ExecutorCore> core, detail::Address address, CallOptions options);

  [[nodiscard]] const std::shared_ptr<detail::ExecutorCore>& core() const noexcept { return core_; }

 private:
  friend class SubinterpreterExecutor;
  template <class Signature>
  friend class Function;

  template <class R, class... StoredArgs, class... Args>
  Future<R> call_entry(const detail::FunctionEntry& entry, Args&&... args) const {
    detail::require_decodable<R>();
    auto [future, task] = detail::make_task<R, detail::PythonCallTask<R, StoredArgs...>>(
        core_.get(), entry, std::forward<Args>(args)...);
    detail::submit(*core_, address_, options_, std::move(task));
    return std::move(future);
  }

  std::shared_ptr<detail::ExecutorCore> core_;
  detail::Address address_;
  CallOptions options_;
};

/// A Python function with a C++ signature; made by Submitter::function. Copies are cheap, calls are
/// allowed from any number of threads, and what Submitter says of tasks holds.
template <class R, class... Args>
class Function<R(Args...)> {
 public:
  /// Submits one call. It blocks and throws as Submitter::call does.
  Future<R> operator()(Args... args) const {
    return submitter_.template call_entry<R, std::remove_cvref_t<Args>...>(*entry_,
                                                                           std::forward<Args>(args)...);
  }

  /// The same function with these options on its tasks; see Submitter::with.
  [[nodiscard]] Function with(CallOptions options) const {
    return Function(submitter_.with(std::move(options)), *entry_);
  }
  /// "module:qualified.name"
  [[nodiscard]] const std::string& name() const noexcept { return entry_->name; }

 private:
  friend class Submitter;
  Function(Submitter submitter, const detail::FunctionEntry& entry)
      : submitter_(std::move(submitter)), entry_(&entry) {
    (detail::require_encodable<std::remove_cvref_t<Args>>(), ...);
    detail::require_decodable<R>();
  }

  Submitter submitter_;
  const detail::FunctionEntry* entry_;
};

/// Worker threads with own-GIL sub-interpreters, and a way to the main interpreter.
///
/// Each interpreter is created in its worker's thread when that worker gets its first task (7 to 15 ms,
/// 2.2 to 2.6 MB), lives as long as the executor unless it is recycled, and is ended by the thread that
/// created it.
/// Unaddressed tasks go to the pooled workers if there are any, else to whichever pinned worker is free.
///
/// Thread safety: everything but construction and destruction may be called from any thread. Any
/// number of executors may exist; they share the Runtime's main lane.
///
/// Ownership: keeps what it needs of the Runtime alive, and should be destroyed before it.
///
/// Destruction is stop({.drain = 0, .timeout = options.stop_timeout}): queued tasks are cancelled, and
/// running ones are awaited for that long, then abandoned, with a log line. Destroying it inside one
/// of its own tasks abandons what is running at once.
class INTERPOOL_API SubinterpreterExecutor final : public Submitter, public Executor {
 public:
  using Options = ExecutorOptions;

  /// Starts the threads; interpreters come with the first tasks. Throws UsageError for options that
  /// contradict each other, and RuntimeStateError when the Runtime has ended.
  explicit SubinterpreterExecutor(Runtime& runtime, Options options = {});
  ~SubinterpreterExecutor() override;
  SubinterpreterExecutor(const SubinterpreterExecutor&) = delete;
  SubinterpreterExecutor& operator=(const SubinterpreterExecutor&) = delete;

  /// A pinned worker: its state is its own, and its tasks keep their order. Throws UsageError when
  /// there is no such worker.
  [[nodiscard]] Submitter pinned(std::size_t index) const;
  /// The main interpreter, for modules that refuse sub-interpreters. While a task there holds the
  /// GIL, other interpreters cannot be created nor import an extension for the first time.
  [[nodiscard]] Submitter main() const;
  /// Makes the calling thread a worker with an interpreter of its own, which is created and set up now,
  /// unless the thread has one of this executor already. That takes 7 to 15 ms, and as long as what is
  /// preloaded, has been broadcast and is a start hook; it needs main's GIL for moments, so a main-lane task
  /// that holds it delays it without a bound. See AttachedThread. Throws ShutdownError once the executor is
  /// closed, WorkerError if the interpreter could not be made or set up, and UsageError in a task.
  [[nodiscard]] AttachedThread attach() const;
  /// Calls a function in every interpreter: in each that is there, the main one first, and, with the same
  /// arguments, in each that is created later, while it is set up. A worker makes the call between two tasks,
  /// before any task that it begins after this has returned; main-lane tasks keep their order. A thread that
  /// is attached makes it before its next call, and is not asked.
  ///
  /// The future has the answers of those that are there, or the error of the first that failed;
  /// broadcast<Result<R>>() has each one's own outcome instead. Each answer is a task, accepted whatever the
  /// queue's capacity. A broadcast that has failed somewhere is not repeated in interpreters that come later;
  /// one that fails only there is the WorkerError of their tasks. Throws ShutdownError once the executor is
  /// closed.
  ///
  /// The arguments live as long as the executor, for the interpreters to come; each interpreter converts them
  /// by itself, several at a time, so a Converter of your own must bear that.
  template <class R = void, class... Args>
  Future<std::vector<BroadcastAnswer<R>>> broadcast(std::string_view function, Args&&... args) const {
    using Answer = typename detail::BroadcastAsk<R>::Value;
    detail::require_decodable<Answer>();
    (detail::require_encodable<detail::Stored<Args>>(), ...);
    const detail::FunctionEntry& entry = detail::function_entry(*core(), function);
    using Stored = std::tuple<detail::Stored<Args>...>;
    return ask<R>(entry.name, detail::broadcast_call<Answer>(
                                  entry, std::make_shared<const Stored>(std::forward<Args>(args)...)));
  }
  /// Has every interpreter that is there, the main one first, import these modules anew (importlib.reload) if
  /// it has imported them, in this order, and look functions up anew that it has called by name. Order,
  /// answers and errors are broadcast()'s.
  Future<std::vector<BroadcastAnswer<void>>> reload(std::vector<std::string> modules = {}) const {
    return ask<void>("reload", detail::reload_call(std::move(modules)));
  }
  /// How many workers pinned() addresses; constant.
  [[nodiscard]] std::size_t pinned_workers() const noexcept;
  /// How many pooled threads it has; constant. With default options this is the number of cores.
  [[nodiscard]] std::size_t pooled_threads() const noexcept;

  /// Runtime::define_module: the modules are the Runtime's, so its other executors find them, too, and they
  /// stay when this one ends.
  void define_module(std::string_view name, std::string_view source);

  /// Accepts nothing from now on; submitters that wait for room get ShutdownError. What was accepted
  /// goes on. Does not block. Main-lane tasks of this executor are included, here and below.
  void close() noexcept;
  /// Closes, then waits until all that was accepted has settled; false when the time was up first.
  /// Throws DeadlockError in a task of this executor.
  bool drain(std::chrono::milliseconds timeout);
  /// Settles everything that has not started with CancelledError; how many there were.
  std::size_t cancel_queued();
  /// Closes, drains, cancels what is still queued, waits for what runs, ends the interpreters on
  /// their threads. What is still running at the timeout is settled with AbandonedError and its
  /// thread left alone; its callable lives until it comes back. Called again, it returns the first
  /// report; while the first call is still at it, it waits for that, but no longer than its own
  /// timeout, and then returns how things stand. Throws DeadlockError in a task of this executor and in a
  /// callback that one has passed to Python.
  ExecutorReport stop(ExecutorStopOptions options);

  /// What has become of the tasks so far. A task counts before its future is ready.
  [[nodiscard]] TaskCounts counts() const noexcept;
  /// Tasks accepted and not settled.
  [[nodiscard]] std::size_t in_flight() const noexcept;
  /// What each lane and worker has done, and how long that took; see ExecutorStats. Always on, also after
  /// stop(). Takes a few microseconds, and blocks nobody for longer than taking a task does. Throws
  /// RuntimeStateError in a forked child.
  [[nodiscard]] ExecutorStats stats() const;

  /// Runs a continuation on any worker, with its GIL released; see Future::then. Never blocks, and
  /// ignores the queue's capacity.
  void execute(Work work) override;

 private:
  template <class R>
  Future<std::vector<BroadcastAnswer<R>>> ask(std::string name, detail::BroadcastCall call) const {
    const auto [broadcast, interpreters] = detail::begin_broadcast(*core(), std::move(name), std::move(call));
    detail::UnsubmittedTasks<BroadcastAnswer<R>> parts;
    for (std::size_t i = 0; i < interpreters.size(); ++i) {
      parts.add([&, &ours = broadcast] { return new detail::BroadcastPart<R>(core().get(), ours); });
    }
    auto map =
        detail::TaskRef<detail::MapTask<BroadcastAnswer<R>>>(new detail::MapTask<BroadcastAnswer<R>>(parts));
    auto future = detail::FutureAccess<std::vector<BroadcastAnswer<R>>>::make(
        detail::TaskRef<detail::TaskState<std::vector<BroadcastAnswer<R>>>>::share(*map));
    std::size_t next = 0;
    map->start([&, &to = interpreters](detail::TaskRef<detail::TaskBase> task) {
      detail::submit(*core(), to[next++], {}, std::move(task));
    });
    return future;
  }
  [[nodiscard]] std::shared_ptr<detail::ExecutorCore> behind() const override { return core(); }
};

}  // namespace interpool
