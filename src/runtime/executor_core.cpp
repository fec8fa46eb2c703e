#include "runtime/executor_core.h"

#include "base/keep.h"
#include "python/thread_state.h"
#include "runtime/attached_worker.h"
#include "runtime/broadcast.h"
#include "runtime/fork_guard.h"
#include "runtime/runtime_core.h"
#include "runtime/thread_name.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <thread>
#include <utility>

namespace interpool::detail {

namespace {

constexpr std::size_t kMaxWorkers = 4096;

Clock::time_point deadline_of(const CallOptions& options) {
  if (options.deadline) return *options.deadline;
  return options.timeout ? after(*options.timeout) : Clock::time_point::max();
}

/// Destroys the work of a task that was never queued.
Failure refuse(TaskBase& task, Failure failure) noexcept {
  task.drop_unqueued();
  return failure;
}

/// CPython needs more than the system does: to create an interpreter, and to import a module within a module.
constexpr std::size_t kSmallestStack = std::size_t{256} << 10U;

void check_thread_options(ExecutorOptions& options) {
  if (options.stack_size != 0) {
    const std::size_t smallest = std::max(kSmallestStack, smallest_stack());
    if (options.stack_size < smallest) {
      throw UsageError(fmt::format("stack_size: {} bytes are too few for Python; give {} or more, or 0",
                                   options.stack_size, smallest));
    }
    options.stack_size = in_whole_pages(options.stack_size);
  }
  std::set<int> good;
  for (std::size_t i = 0; i < options.cpu_affinity.size(); ++i) {
    if (options.cpu_affinity[i].empty()) {
      throw UsageError(
          fmt::format("cpu_affinity[{}] is empty: the workers that it is for could run nowhere", i));
    }
    for (const int cpu : options.cpu_affinity[i]) {
      if (good.contains(cpu)) continue;
      bool can = false;
      try {
        can = can_run_on(cpu);
      } catch (const std::system_error& error) {
        throw WorkerError(fmt::format("no thread could be started to try CPU {}: {}", cpu, error.what()));
      }
      if (!can) {
        throw UsageError(
            fmt::format("cpu_affinity[{}]: there is no CPU {}, or this process may not run on it", i, cpu));
      }
      good.insert(cpu);
    }
  }
}

}  // namespace

void check_module_name(const char* what, std::string_view name) {
  if (name.empty() || name.find_first_of(std::string_view(": \0", 3)) != std::string_view::npos) {
    throw UsageError(fmt::format("{}: '{}' is not the name of a module", what, name));
  }
}

ExecutorOptions ExecutorCore::check_options(ExecutorOptions options) {
  PooledOptions& pooled = options.pooled;
  if (options.pinned_workers == 0 && pooled.threads == 0) {
    if (pooled.interpreters != 0) {
      throw UsageError(
          fmt::format("pooled.interpreters is {} but pooled.threads is 0: give as many threads at least",
                      pooled.interpreters));
    }
    pooled.threads = std::max(1U, std::thread::hardware_concurrency());
  }
  if (pooled.interpreters == 0) pooled.interpreters = pooled.threads;
  if (pooled.interpreters > pooled.threads) {
    throw UsageError(fmt::format(
        "pooled.interpreters ({}) is more than pooled.threads ({}): each interpreter needs a thread",
        pooled.interpreters, pooled.threads));
  }
  if (options.pinned_workers > kMaxWorkers || pooled.threads > kMaxWorkers) {
    throw UsageError(fmt::format("more than {} workers: pinned_workers is {}, pooled.threads is {}",
                                 kMaxWorkers, options.pinned_workers, pooled.threads));
  }
  if (options.queue_capacity == 0)
    throw UsageError("queue_capacity is 0: no task could ever be queued; give 1 or more");
  if (options.spin < std::chrono::microseconds::zero() || options.spin > std::chrono::seconds(1)) {
    throw UsageError(fmt::format("spin is {} µs: give 0 (never) to 1,000,000", options.spin.count()));
  }
  if (options.stop_timeout < std::chrono::milliseconds::zero()) {
    throw UsageError(fmt::format("stop_timeout: {} ms is negative", options.stop_timeout.count()));
  }
  constexpr std::size_t kLeastBytes = std::size_t{1} << 20U;  // an arena
  if (options.recycle.after_bytes != 0 && options.recycle.after_bytes < kLeastBytes) {
    throw UsageError(
        fmt::format("recycle.after_bytes: {} bytes are too few to be told apart; give {} or more, or 0",
                    options.recycle.after_bytes, kLeastBytes));
  }
  check_thread_options(options);
  for (const std::string& module : options.preload) {
    check_module_name("preload", module);
  }
  for (const auto& [what, name] : {std::pair("hooks.python_start", &options.hooks.python_start),
                                   std::pair("hooks.python_stop", &options.hooks.python_stop)}) {
    if (!name->empty() && !is_function_name(*name)) {
      throw UsageError(
          fmt::format("{}: '{}' does not name a function: write 'module:function'", what, *name));
    }
  }
  return options;
}

ExecutorCore::ExecutorCore(std::shared_ptr<RuntimeCore> runtime, ExecutorOptions options)
    : runtime_(std::move(runtime)), options_(std::move(options)), shared_(std::make_unique<TaskQueue>()) {
  if (options_.recycle.after_bytes != 0 && runtime_->process().memory == nullptr) {
    throw UsageError(
        "recycle.after_bytes: this Python does not have its usual allocators, so the memory of an "
        "interpreter is not "
        "known; give after_tasks instead, or start it without PYTHONMALLOC=debug");
  }
  for (const std::string& module : options_.preload) {
    journal_->append({.what = "preload " + module, .apply = [module](InterpreterHandle& interpreter) {
                        return python::import_module(interpreter, module);
                      }});
  }
  const InterpreterGroup::Journals journals = {runtime_->journal(), journal_};
  const auto new_place = [&](bool shared = false) {
    const InterpreterGroup::Setup setup{.shared = shared, .place = places_.size()};
    return places_.emplace_back(
        std::make_shared<InterpreterPlace>([journals, &process = runtime_->process(), setup] {
          return std::make_shared<InterpreterGroup>(journals, process, setup);
        }));
  };
  const InterpreterTeller teller = {.observer = observer(), .executor = &options_.name};
  // Unaddressed tasks are for the pooled workers where there are any.
  const bool pinned_share = options_.pooled.threads == 0;
  // `group`: of those that take from the shared queue, those with one interpreter.
  const auto new_worker = [&](Lane lane, std::size_t index, std::size_t group,
                              const std::shared_ptr<InterpreterPlace>& place) {
    workers_.push_back(std::make_shared<WorkerThread>(
        WorkerThread::Setup{.lane = lane,
                            .index = index,
                            .shared_group = group,
                            .shared = lane == Lane::kPooled || pinned_share ? shared_.get() : nullptr,
                            .spin = options_.spin,
                            .searching = &searching_,
                            .admission = &admission_,
                            .hooks = &options_.hooks,
                            .recycle = recycle(),
                            .log = &runtime_->log(),
                            .teller = teller,
                            .gate = callback_gate_},
        place));
  };
  for (std::size_t i = 0; i < options_.pinned_workers; ++i) new_worker(Lane::kPinned, i, i, new_place());
  const std::size_t first_pooled = places_.size();
  for (std::size_t i = 0; i < options_.pooled.interpreters; ++i)
    new_place(options_.pooled.threads > i + options_.pooled.interpreters);
  for (std::size_t i = 0; i < options_.pooled.threads; ++i) {
    const std::size_t place = i % options_.pooled.interpreters;
    new_worker(Lane::kPooled, i, place, places_[first_pooled + place]);
  }
}

ExecutorCore::~ExecutorCore() = default;

void ExecutorCore::start() {
  const MutexLock lock(mutex_);
  if (stop_.begun()) throw RuntimeStateError("the Runtime ended while the executor was made");
  try {
    for (const auto& worker : workers_) {
      ThreadOptions how{.stack_size = options_.stack_size};
      if (!options_.cpu_affinity.empty())
        how.cpus = options_.cpu_affinity[threads_.size() % options_.cpu_affinity.size()];
      threads_.emplace_back(how, [core = shared_from_this(), worker] {
        name_this_thread(fmt::format("{}-{}{}", core->options_.name.substr(0, 9),
                                     worker->lane() == Lane::kPinned ? 'p' : 't', worker->index()));
        worker->run();
        // acquire: pairs with end_workers(); run() has returned because of the stop() after it.
        const Clock::time_point deadline{
            Clock::duration(core->end_deadline_.load(std::memory_order_acquire))};
        worker->leave(deadline);
        core->worker_ended();
      });
      ++workers_running_;
    }
  } catch (const std::system_error& error) {
    // The threads that did start hold no interpreter yet.
    for (const auto& worker : workers_) worker->stop();
    for (Thread& thread : threads_) thread.detach();
    threads_.clear();
    throw WorkerError(fmt::format("only {} of {} worker threads could be started: {}", workers_running_,
                                  workers_.size(), error.what()));
  }
}

Address ExecutorCore::pinned(std::size_t index) const {
  if (index >= options_.pinned_workers) {
    throw UsageError(
        fmt::format("there is no pinned worker {}: this executor has {}", index, options_.pinned_workers));
  }
  return {.to = Address::To::kInterpreter, .index = index};
}

TaskQueue& ExecutorCore::queue(Address address) noexcept {
  return address.to == Address::To::kAny ? *shared_ : place(address).queue();
}

InterpreterPlace& ExecutorCore::place(Address address) const noexcept {
  return address.to == Address::To::kMain ? runtime_->main_worker().place() : *places_[address.index];
}

Address ExecutorCore::address_of(const InterpreterPlace& place) const noexcept {
  const auto found = std::ranges::find_if(places_, [&](const auto& ours) { return ours.get() == &place; });
  if (found == places_.end()) return {.to = Address::To::kMain};
  return {.to = Address::To::kInterpreter, .index = static_cast<std::size_t>(found - places_.begin())};
}

Address ExecutorCore::next_interpreter() noexcept {
  const std::size_t first = options_.pooled.threads == 0 ? 0 : options_.pinned_workers;
  const std::size_t turn = next_interpreter_.fetch_add(1, std::memory_order_relaxed);
  return {.to = Address::To::kInterpreter, .index = first + turn % (places_.size() - first)};
}

std::vector<Address> ExecutorCore::begin(const std::shared_ptr<Broadcast>& broadcast) {
  if (closed()) throw ShutdownError("the executor is closed", {.task = broadcast->name()});
  std::vector<Address> there = {{.to = Address::To::kMain, .unbounded = true}};
  for (std::size_t i = 0; i < places_.size(); ++i) {
    if (!places_[i]->group()->interpreter_id()) continue;
    broadcast->expect(i);
    there.push_back({.to = Address::To::kInterpreter, .index = i, .unbounded = true});
  }
  journal_->append(
      {.what = "broadcast " + broadcast->name(),
       .apply = [broadcast](InterpreterHandle& interpreter) { return broadcast->apply(interpreter); }});
  return there;
}

namespace {

/// What task_accepted() is told, however far the task has got.
TaskEvent before_start(TaskEvent event) noexcept {
  event.started.reset();
  return event;
}

TaskCounts sum_of(const auto& lanes) noexcept {
  TaskCounts sum;
  for (const TaskCounts& lane : lanes) {
    sum.accepted += lane.accepted;
    sum.completed += lane.completed;
    sum.failed += lane.failed;
    sum.cancelled += lane.cancelled;
    sum.timed_out += lane.timed_out;
    sum.abandoned += lane.abandoned;
  }
  return sum;
}

}  // namespace

ErrorContext ExecutorCore::context(const TaskBase& task) const { return {.task = task.name()}; }

Failure ExecutorCore::accept(Address address, const CallOptions& options, TaskRef<TaskBase> task,
                             bool may_wait) noexcept {
  if (in_forked_child()) return refuse(*task, forked_failure());
  try {
    return enqueue(address, options, task, may_wait);
  } catch (...) {
    return refuse(*task, current_failure({}));
  }
}

void ExecutorCore::set_details(TaskBase& task, const CallOptions& options, Clock::time_point deadline) {
  auto details = std::make_unique<TaskDetails>();
  details->name = options.name;
  details->deadline = deadline;
  details->context = options.context;
  if (observer() != nullptr) {
    details->number = next_number();
    details->submitted = Clock::now();
  }
  task.set_details(std::move(details));
}

TaskEvent ExecutorCore::event_of(const TaskBase& task) noexcept {
  const Clock::duration started(task.details_->started.load(std::memory_order_relaxed));
  TaskEvent event{.task = task.details_->number,
                  .executor = task.core_->options_.name,
                  .name = task.name(),
                  .lane = task.core_->lane_of(task),
                  .submitted = task.details_->submitted};
  if (started != Clock::duration::zero()) event.started = Clock::time_point(started);
  return event;
}

void ExecutorCore::tell_started(TaskBase& task, const std::string& worker) noexcept {
  if (task.details_->number == 0) return;
  const Clock::time_point now = Clock::now();
  task.details_->started.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  TaskEvent event = event_of(task);
  event.worker = worker;
  task.core_->observer()->task_started(event);
}

void ExecutorCore::tell_settled(const TaskBase& task, Outcome outcome, std::string_view worker) noexcept {
  if (!task.details_ || task.details_->number == 0) return;
  TaskEvent event = event_of(task);
  event.worker = worker;
  event.settled = Clock::now();
  event.outcome = outcome;
  // Its worker is about to say when it began.
  if (outcome == Outcome::kAbandoned && !event.started) event.started = event.settled;
  task.core_->observer()->task_settled(event);
}

Failure ExecutorCore::enqueue(Address address, const CallOptions& options, TaskRef<TaskBase>& task,
                              bool may_wait) {
  Clock::time_point deadline = Clock::time_point::max();
  TaskRef<TaskBase> observed;  // what is told of a task that has been queued may come after its end
  if (observer() != nullptr || !options.name.empty() || options.deadline || options.timeout ||
      !options.context.empty()) {
    deadline = deadline_of(options);
    set_details(*task, options, deadline);
    if (observer() != nullptr) observed = TaskRef<TaskBase>::share(*task);
  }
  task->spin_nanoseconds_ = static_cast<std::uint32_t>(std::chrono::nanoseconds(options_.spin).count());

  TaskQueue& target = queue(address);
  const std::size_t capacity =
      address.unbounded ? std::numeric_limits<std::size_t>::max() : options_.queue_capacity;
  for (;;) {
    if (!admission_.try_enter()) {
      return refuse(*task, std::make_shared<const ShutdownError>("the executor is closed", context(*task)));
    }
    TaskQueue::Push pushed{};
    try {
      // Our own queues count what they accept; the main lane's is everybody's.
      pushed = target.push(*task, capacity, admission_, runtime_->timekeeper(),
                           address.to == Address::To::kMain ? &elsewhere(Lane::kMain).accepted : nullptr);
    } catch (...) {
      admission_.leave();
      throw;
    }
    if (pushed == TaskQueue::Push::kDone) {
      (void)task.leak();  // the queue's now, and perhaps gone already
      if (observed) observer()->task_accepted(before_start(event_of(*observed)));
      return nullptr;
    }
    // A submission that has to wait is not in flight: a drain does not wait for it.
    admission_.leave();
    if (pushed == TaskQueue::Push::kClosed) continue;  // to the refusal above
    if (!may_wait || options_.when_full == WhenFull::kReject) {
      return refuse(*task, std::make_shared<const QueueFullError>(
                               fmt::format("the queue holds {} tasks, its capacity", options_.queue_capacity),
                               context(*task)));
    }
    const WorkerThread* worker = WorkerThread::current();
    // A thread that is attached is none of those that make room.
    const bool waits_for_itself = in_own_task() && !AttachedWorker::calling(*this);
    if ((worker != nullptr && worker == target.only_worker()) || waits_for_itself) {
      return refuse(
          *task, std::make_shared<const DeadlockError>(
                     "a task that submits to its own executor would wait for room that it keeps others from "
                     "making: the queue is full; use try_submit() or a larger queue_capacity",
                     context(*task)));
    }
    if (Clock::now() >= deadline) {
      return refuse(*task, std::make_shared<const TimeoutError>("the queue had no room before the deadline",
                                                                context(*task)));
    }
    const python::GilRelease no_gil;
    target.wait_for_room(options_.queue_capacity, admission_, deadline);
  }
}

namespace {

/// A continuation as a task of the executor that runs it.
class WorkTask final : public TaskState<void> {
 public:
  WorkTask(ExecutorCore* core, Work work)
      : TaskState<void>(core), inner_(WorkAccess::task(work)), work_(std::move(work)) {}

  Failure run(Worker* /*worker*/) noexcept override {
    const python::GilRelease no_gil;
    (*work_)();
    new (storage()) Unit();
    return nullptr;
  }
  void drop_work() noexcept override { work_.reset(); }
  void given_up(const Failure& failure) noexcept override {
    if (inner_->begin_settling(kRunning)) inner_->settle_failure(failure);
  }

 private:
  const TaskRef<TaskBase> inner_;  // whose future waits for it
  std::optional<Work> work_;
};

}  // namespace

void ExecutorCore::execute(Work work) {
  TaskRef<TaskBase> task(new WorkTask(this, std::move(work)));
  TaskRef<TaskBase> observed;
  if (observer() != nullptr) {
    set_details(*task, {}, Clock::time_point::max());
    observed = TaskRef<TaskBase>::share(*task);
  }
  if (admission_.try_enter()) {
    if (shared_->push(*task, std::numeric_limits<std::size_t>::max(), admission_, runtime_->timekeeper()) ==
        TaskQueue::Push::kDone) {
      (void)task.leak();  // the queue's now, and perhaps gone already
      if (observed) observer()->task_accepted(before_start(event_of(*observed)));
      return;
    }
    admission_.leave();
  }
  // It is closed. That destroys the work, which settles what is behind it.
  task->drop_unqueued();
}

void ExecutorCore::forget_deadline(TaskBase& task) noexcept {
  if (task.details_ && task.details_->deadline != Clock::time_point::max()) {
    task.core_->runtime_->timekeeper().remove(task);
  }
}

void ExecutorCore::settle_run(TaskBase& task, Failure&& failure) noexcept {
  ExecutorCore& core = *task.core_;
  const bool has_value = failure == nullptr;
  const Outcome outcome = has_value ? Outcome::kCompleted : Outcome::kFailed;
  std::atomic<std::uint64_t>& count = core.elsewhere(Lane::kMain).settled[static_cast<std::size_t>(outcome)];
  // As in WorkerThread::settle(), but others write the number, too; relaxed for the same reason. A task that
  // was given up has left the core to us; see abandon_running().
  if (task.running()) {
    count.fetch_add(1, std::memory_order_relaxed);
    if (task.settle_run(std::move(failure))) {
      tell_settled(task, outcome, to_string(Lane::kMain));
      core.admission_.leave();
      return;
    }
    count.fetch_sub(1, std::memory_order_relaxed);
  }
  if (has_value) task.drop_value();
}

void ExecutorCore::settle_as_third_party(TaskBase& task, Outcome outcome, Failure failure) noexcept {
  forget_deadline(task);
  const bool was_queued = task.queue_ != nullptr && task.queue_->remove(task);
  task.drop();
  Elsewhere& account = elsewhere(lane_of(task));
  if (is_timed(task)) account.waiting.add_shared(measured_wait(task));
  account.settled[static_cast<std::size_t>(outcome)].fetch_add(1, std::memory_order_relaxed);  // a number
  task.settle_failure(std::move(failure));
  tell_settled(task, outcome, {});
  if (was_queued) task.release();  // the queue's reference; a caller has its own
  admission_.leave();
}

void ExecutorCore::expire(TaskBase& task) noexcept {
  ExecutorCore& core = *task.core_;
  if (!task.begin_settling(TaskBase::kQueued)) return;
  core.settle_as_third_party(task, Outcome::kTimedOut,
                             std::make_shared<const TimeoutError>(
                                 "the deadline passed before the task started", core.context(task)));
}

std::shared_ptr<AttachedWorker> ExecutorCore::add_attached() {
  const InterpreterGroup::Journals journals = {runtime_->journal(), journal_};
  const InterpreterGroup::Setup setup;
  auto place = std::make_shared<InterpreterPlace>([journals, &process = runtime_->process(), setup] {
    return std::make_shared<InterpreterGroup>(journals, process, setup);
  });
  const MutexLock lock(mutex_);
  // close() comes here after it has closed the admission: what it does not find has seen that.
  if (closed()) throw ShutdownError("the executor is closed");
  return attached_.emplace_back(
      std::make_shared<AttachedWorker>(shared_from_this(), next_attached_++, std::move(place)));
}

void ExecutorCore::remove_attached(const AttachedWorker& worker) noexcept {
  Elsewhere& account = elsewhere(Lane::kAttached);
  const auto move = [&account](Outcome outcome, const std::atomic<std::uint64_t>& count) {
    // relaxed, as below: numbers, which counts() reads under the mutex.
    account.settled[static_cast<std::size_t>(outcome)].fetch_add(count.load(std::memory_order_relaxed),
                                                                 std::memory_order_relaxed);
  };
  const MutexLock lock(mutex_);
  account.accepted.fetch_add(worker.accepted(), std::memory_order_relaxed);
  move(Outcome::kCompleted, worker.counts().completed);
  move(Outcome::kFailed, worker.counts().failed);
  move(Outcome::kAbandoned, worker.counts().abandoned);
  account.running.add_shared(worker.times().running.get());
  account.gil_wait.add_shared(worker.times().gil_wait.get());
  std::erase_if(attached_, [&](const auto& known) { return known.get() == &worker; });
}

std::vector<std::shared_ptr<AttachedWorker>> ExecutorCore::attached() const {
  const MutexLock lock(mutex_);
  return attached_;
}

bool ExecutorCore::wait_until_settled(Clock::time_point deadline) {
  for (const auto& worker : workers_) worker->report_settled();  // what they would report a little later
  bool settled = admission_.wait_until_empty(deadline);
  for (const auto& worker : attached()) settled &= worker->wait_until_idle(deadline);
  return settled;
}

void ExecutorCore::close() noexcept {
  admission_.close();
  {
    const MutexLock lock(mutex_);
    for (const auto& worker : attached_) worker->close();
  }
  shared_->wake_submitters();
  for (const auto& place : places_) place->queue().wake_submitters();
  runtime_->main_queue().wake_submitters();
}

std::vector<std::string> ExecutorCore::cancel_queued(const char* reason) {
  std::vector<std::string> names;
  const auto cancel = [&](TaskBase& task) {
    if (!task.begin_settling(TaskBase::kQueued)) return;
    names.push_back(task.name());
    settle_as_third_party(task, Outcome::kCancelled,
                          std::make_shared<const CancelledError>(reason, context(task)));
  };
  const auto cancel_in = [&](TaskQueue& queue) {
    for (const auto& task : queue.tasks_of(*this)) cancel(*task);
  };
  cancel_in(*shared_);
  for (const auto& place : places_) cancel_in(place->queue());
  cancel_in(runtime_->main_queue());
  // What a worker holds already, but has not begun: it is busy with what comes first, a broadcast say.
  const auto cancel_at = [&](WorkerThread& worker) {
    const auto task = worker.running();
    if (task && task->core() == this) cancel(*task);
  };
  for (const auto& worker : workers_) cancel_at(*worker);
  cancel_at(runtime_->main_worker());
  return names;
}

bool ExecutorCore::in_own_task() const noexcept {
  if (AttachedWorker::calling(*this)) return true;
  WorkerThread* worker = WorkerThread::current();
  if (worker == nullptr) return false;
  if (owns(*worker)) return true;
  const auto task = worker->running();
  return task && task->core() == this;
}

bool ExecutorCore::owns(const WorkerThread& worker) const noexcept {
  return std::ranges::any_of(workers_, [&](const auto& ours) { return ours.get() == &worker; });
}

std::array<TaskCounts, ExecutorCore::kLanes> ExecutorCore::lane_counts() const noexcept {
  // Settled before accepted, so that each that is counted as settled is counted as accepted, too. acquire
  // keeps the loads in this order. The numbers are written relaxed, published with the results: for a task
  // whose result the caller has not seen, the language promises nothing, and in_flight() allows for that.
  // Under the mutex, because an attached thread that ends moves its numbers.
  std::array<TaskCounts, kLanes> lanes;
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    const auto elsewhere = [&](Outcome outcome) {
      return elsewhere_[lane].settled[static_cast<std::size_t>(outcome)].load(std::memory_order_acquire);
    };
    lanes[lane].completed = elsewhere(Outcome::kCompleted);
    lanes[lane].failed = elsewhere(Outcome::kFailed);
    lanes[lane].cancelled = elsewhere(Outcome::kCancelled);
    lanes[lane].timed_out = elsewhere(Outcome::kTimedOut);
    lanes[lane].abandoned = elsewhere(Outcome::kAbandoned);
  }
  const auto add = [&lanes](Lane lane, const WorkerCounts& worker) {
    TaskCounts& counts = lanes[static_cast<std::size_t>(lane)];
    counts.completed += worker.completed.load(std::memory_order_acquire);
    counts.failed += worker.failed.load(std::memory_order_acquire);
    counts.abandoned += worker.abandoned.load(std::memory_order_acquire);
  };
  for (const auto& worker : workers_) add(worker->lane(), worker->counts());
  for (const auto& worker : attached_) add(Lane::kAttached, worker->counts());
  // acquire: nothing depends on it; the tasks themselves come by the queue.
  for (std::size_t lane = 0; lane < kLanes; ++lane)
    lanes[lane].accepted = elsewhere_[lane].accepted.load(std::memory_order_acquire);
  const auto accepted = [&lanes](Lane lane, std::uint64_t count) {
    lanes[static_cast<std::size_t>(lane)].accepted += count;
  };
  accepted(shared_->lane(), shared_->pushed());
  for (const auto& place : places_) accepted(place->queue().lane(), place->queue().pushed());
  for (const auto& worker : attached_) accepted(Lane::kAttached, worker->accepted());
  return lanes;
}

TaskCounts ExecutorCore::counts() const noexcept {
  const MutexLock lock(mutex_);
  return sum_of(lane_counts());
}

ExecutorStats ExecutorCore::stats() const {
  ExecutorStats stats{.executor = options_.name};
  const auto runs_ours = [this](WorkerThread& worker) {
    const auto task = worker.running();
    return task && task->core() == this && task->running();
  };
  const auto add_interpreter = [this, &stats](Lane lane, std::size_t index, InterpreterGroup& group,
                                              std::uint64_t queued) {
    stats.interpreters.push_back({.lane = lane,
                                  .index = index,
                                  .id = group.exists() ? group.interpreter_id() : std::nullopt,
                                  .generation = group.births().count(),
                                  .start_time = group.births().took(),
                                  .queued = queued});
    InterpreterStats& there = stats.interpreters.back();
    const python::MemoryCounts* memory = runtime_->process().memory;
    if (there.id && memory != nullptr)
      there.memory = static_cast<std::uint64_t>(std::max<std::int64_t>(memory->bytes(*there.id), 0));
  };
  const auto add_worker = [&stats](Lane lane, std::size_t index, const std::string& id,
                                   std::size_t interpreter, const WorkerCounts& counts, bool running) {
    WorkerStats& worker = stats.workers.emplace_back();
    worker.lane = lane;
    worker.index = index;
    worker.id = id;
    worker.interpreter = interpreter;
    // relaxed: numbers, which lane_counts() has the order of.
    worker.completed = counts.completed.load(std::memory_order_relaxed);
    worker.failed = counts.failed.load(std::memory_order_relaxed);
    worker.abandoned = counts.abandoned.load(std::memory_order_relaxed);
    worker.running = running;
    counts.times.add_to(worker.times);
  };

  const std::size_t pinned = options_.pinned_workers;
  for (std::size_t i = 0; i < places_.size(); ++i) {
    const bool is_pinned = i < pinned;
    add_interpreter(is_pinned ? Lane::kPinned : Lane::kPooled, is_pinned ? i : i - pinned,
                    *places_[i]->group(), places_[i]->queue().waiting());
  }
  for (const auto& worker : workers_) {
    const std::size_t interpreter = worker->lane() == Lane::kPinned
                                        ? worker->index()
                                        : pinned + worker->index() % options_.pooled.interpreters;
    add_worker(worker->lane(), worker->index(), worker->id(), interpreter, worker->counts(),
               runs_ours(*worker));
  }
  const bool main_runs = runs_ours(runtime_->main_worker());

  std::vector<std::shared_ptr<AttachedWorker>> attached;
  std::array<TaskCounts, kLanes> counts;
  std::array<TaskTimes, kLanes> times;
  {
    const MutexLock lock(mutex_);
    attached = attached_;
    counts = lane_counts();
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      times[lane] = {.waiting = elsewhere_[lane].waiting.get(),
                     .running = elsewhere_[lane].running.get(),
                     .gil_wait = elsewhere_[lane].gil_wait.get()};
    }
    for (const auto& worker : attached_)
      worker->times().add_to(times[static_cast<std::size_t>(Lane::kAttached)]);
  }
  stats.tasks = sum_of(counts);
  main_times_.add_to(times[static_cast<std::size_t>(Lane::kMain)]);
  for (const Lane lane : {Lane::kPinned, Lane::kPooled, Lane::kMain, Lane::kAttached}) {
    LaneStats& of_lane = stats.lanes.emplace_back();
    of_lane.lane = lane;
    of_lane.tasks = counts[static_cast<std::size_t>(lane)];
    of_lane.times = times[static_cast<std::size_t>(lane)];
  }
  for (const WorkerStats& worker : stats.workers) {
    LaneStats& lane = stats.lanes[static_cast<std::size_t>(worker.lane)];
    if (worker.running) ++lane.running;
    lane.times.waiting += worker.times.waiting;
    lane.times.running += worker.times.running;
    lane.times.gil_wait += worker.times.gil_wait;
  }
  if (main_runs) ++stats.lanes[static_cast<std::size_t>(Lane::kMain)].running;
  for (const auto& worker : attached) {
    add_interpreter(Lane::kAttached, worker->index(), *worker->place().group(), 0);
    add_worker(Lane::kAttached, worker->index(), worker->id(), stats.interpreters.size() - 1,
               worker->counts(), worker->busy());
    worker->times().add_to(stats.workers.back().times);
    if (worker->busy()) ++stats.lanes[static_cast<std::size_t>(Lane::kAttached)].running;
  }
  for (LaneStats& lane : stats.lanes) {
    // What has changed meanwhile must not make it less than none.
    const std::uint64_t begun = lane.tasks.settled() + lane.running;
    lane.queued = lane.tasks.accepted - std::min(lane.tasks.accepted, begun);
  }
  return stats;
}

void ExecutorCore::worker_ended() {
  const MutexLock lock(mutex_);
  --workers_running_;
  changed_.notify_all();
}

void ExecutorCore::abandon_running(std::vector<std::string>& names) {
  const auto abandon = [&](WorkerThread& worker) {
    const auto task = worker.running();
    if (!task || task->core() != this || !task->begin_settling(TaskBase::kRunning)) return;
    names.push_back(task->name());
    if (worker.lane() == Lane::kMain) {
      elsewhere(Lane::kMain)
          .settled[static_cast<std::size_t>(Outcome::kAbandoned)]
          .fetch_add(1, std::memory_order_relaxed);
    } else {
      worker.count_abandoned();
    }
    const Failure failure =
        std::make_shared<const AbandonedError>("still running when its executor had to end", context(*task));
    task->settle_failure(failure);
    task->given_up(failure);
    tell_settled(*task, Outcome::kAbandoned, worker.id());
    // The home thread will come back to the core's accounts, and owns no share of it, as our workers'
    // threads do: it gets one, for ever.
    if (worker.lane() == Lane::kMain) keep_for_ever(shared_from_this());
    admission_.leave();
  };
  for (const auto& worker : workers_) {
    abandon(*worker);
    worker->report_settled();  // for one that is stuck
  }
  abandon(runtime_->main_worker());
  for (const auto& worker : attached()) {
    if (worker->give_up()) names.push_back(worker->call_name());
  }
}

std::size_t ExecutorCore::end_workers(Clock::time_point deadline) {
  end_deadline_.store(deadline.time_since_epoch().count(),
                      std::memory_order_release);  // release, and before stop(): for the workers
  for (const auto& worker : workers_) worker->stop();
  std::vector<Thread> threads;
  bool all_ended = false;
  const WorkerThread* self = WorkerThread::current();
  const std::size_t ourselves = self != nullptr && owns(*self) ? 1 : 0;  // ends later
  {
    const MutexLock lock(mutex_);
    while (workers_running_ > ourselves && changed_.wait_until(mutex_, deadline)) {
    }
    all_ended = workers_running_ == 0;
    threads = std::move(threads_);
  }
  for (Thread& thread : threads) {
    if (all_ended && !thread.is_current()) {
      thread.join();
    } else {
      thread.detach();  // it owns all that it may still touch
    }
  }
  return interpreters();
}

std::size_t ExecutorCore::interpreters() const noexcept {
  std::size_t standing = 0;
  for (const auto& place : places_) standing += place->standing();
  return standing;
}

ExecutorReport ExecutorCore::stop(ExecutorStopOptions options) {
  const python::GilRelease no_gil;
  return stop_.run(
      after(options.timeout), [&] { return stop_once(options); }, [this] { return report_so_far(); });
}

ExecutorReport ExecutorCore::report_so_far() const {
  ExecutorReport report;
  report.tasks = counts();
  report.interpreters_left = interpreters();
  report.callbacks_left = callback_gate_->inside();
  return report;
}

ExecutorReport ExecutorCore::stop_once(ExecutorStopOptions options) {
  const Clock::time_point deadline = after(options.timeout);
  ExecutorReport report;
  bool stuck = false;
  close();
  if (!wait_until_settled(std::min(deadline, after(options.drain)))) {
    report.cancelled = cancel_queued("cancelled: its executor is ending");
    // Nothing can be waited for that waits for us.
    Clock::time_point patience = in_own_task() ? Clock::now() : deadline;
    Clock::time_point end = Clock::time_point::max();
    while (!wait_until_settled(patience)) {
      callback_gate_->close();  // first: who sees a task abandoned sees none of its callbacks begin
      abandon_running(report.abandoned);
      if (end == Clock::time_point::max()) end = after(std::chrono::milliseconds(1000));
      if (Clock::now() > end) {
        // A destructor, say, of a cancelled callable, that does not return to the thread that cancelled.
        stuck = true;
        runtime_->log().error("executor '{}': a task is stuck on its way out, in a thread that is not ours",
                              options_.name);
        keep_for_ever(shared_from_this());  // for that thread
        break;
      }
      // Again, for a task that was between two states; those settle by themselves, or run then.
      patience = after(std::chrono::milliseconds(1));
    }
  }
  // Also when the last of them were only reported late.
  report.drained = report.cancelled.empty() && report.abandoned.empty() && !stuck;
  callback_gate_->close();
  // A bound of its own for the ends of the interpreters, even when the work has used up all the time.
  // With a task stuck there is nothing more to wait for than that.
  const Clock::time_point soon = after(std::chrono::milliseconds(500));
  const Clock::time_point end_of_ends =
      report.abandoned.empty() && !inside() ? std::max(deadline, soon) : soon;
  report.interpreters_left = end_workers(end_of_ends);
  for (const auto& worker : attached()) {
    if (!worker->end(std::max(deadline, soon))) ++report.attached_left;
  }
  // Of Python threads in the main interpreter, say, which does not end here.
  if (!callback_gate_->wait_until_empty(inside() ? Clock::now() : end_of_ends)) {
    report.callbacks_left = callback_gate_->inside();
  }
  report.tasks = counts();

  Logger& log = runtime_->log();
  if (report.tasks.accepted != report.tasks.settled() && !stuck) {
    log.error("executor '{}': {} tasks were accepted but {} settled: this is a bug of interpool",
              options_.name, report.tasks.accepted, report.tasks.settled());
  }
  if (!report.abandoned.empty()) {
    log.error("executor '{}': {} tasks were still running when it had to end, and were abandoned, first '{}'",
              options_.name, report.abandoned.size(), report.abandoned.front());
  }
  if (report.callbacks_left > 0) {
    log.warn("executor '{}': {} calls of C++ callbacks had not returned when it had to end", options_.name,
             report.callbacks_left);
  }
  if (report.interpreters_left > 0) {
    log.warn("executor '{}': {} interpreters did not end, or could not be ended, and were left standing",
             options_.name, report.interpreters_left);
  }
  return report;
}

}  // namespace interpool::detail
