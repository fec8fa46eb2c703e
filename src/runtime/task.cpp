#include "interpool/detail/task.h"

#include "base/futex.h"
#include "base/out_of_memory.h"
#include "interpool/future.h"
#include "interpool/when.h"
#include "interpool/worker.h"
#include "python/thread_state.h"
#include "runtime/blocked_workers.h"
#include "runtime/executor_core.h"
#include "runtime/fork_guard.h"
#include "runtime/worker_thread.h"

#include <algorithm>
#include <typeinfo>
#include <utility>

namespace interpool::detail {

namespace {

/// How many results this thread has found ready since it last had to wait for one.
thread_local unsigned ready_since_wait = 0;

/// Does not look at the task for a while. Whoever follows a busy worker through its results would take the
/// cache line of each task from it while it still works on that. A round trip takes longer than the shortest
/// pause anyway; it grows with the results that were ready, which shows that the worker is well ahead of
/// whoever waits.
void look_away() noexcept {
  constexpr unsigned kPauses = 8;  // about 200 ns
  constexpr unsigned kMostResults = 31;
  const unsigned pauses = kPauses * (1 + std::min(std::exchange(ready_since_wait, 0), kMostResults));
  for (unsigned i = 0; i < pauses; ++i) spin_pause();
}

/// Keeps a worker among those that wait without an end.
class ListedAsBlocked {
 public:
  ListedAsBlocked() = default;
  ListedAsBlocked(const ListedAsBlocked&) = delete;
  ListedAsBlocked& operator=(const ListedAsBlocked&) = delete;
  ~ListedAsBlocked() {
    if (listed_) BlockedWorkers::all().remove(worker_);
  }
  /// False: nobody else could end its wait for the task.
  bool add(WorkerThread& worker, const TaskBase& task) {
    worker_ = worker.blocked_by(task);
    listed_ = BlockedWorkers::all().add(worker_);
    return listed_;
  }

 private:
  BlockedWorker worker_;
  bool listed_ = false;
};

}  // namespace

TaskBase::~TaskBase() = default;

const std::string& TaskBase::name() const noexcept {
  return details_ && !details_->name.empty() ? details_->name : default_name();
}

const std::string& TaskBase::default_name() const noexcept {
  static const std::string none;
  return none;
}

bool TaskBase::ready() const noexcept {
  if (!settled()) return false;
  ++ready_since_wait;
  return true;
}

void TaskBase::wait() {
  if (ready()) return;
  ListedAsBlocked listed;
  wait_until(Clock::time_point::max(), [&] {
    WorkerThread* worker = WorkerThread::current();
    if (worker == nullptr || listed.add(*worker, *this)) return;
    throw DeadlockError(
        "the wait would never end: no worker could bring on the task that is waited for but this one, and "
        "those that wait for this one; use then(), or wait elsewhere",
        {.task = name()});
  });
}

bool TaskBase::wait_until(Clock::time_point deadline) {
  return ready() || wait_until(deadline, [] {});
}

template <class BeforeSleep>
bool TaskBase::wait_until(Clock::time_point deadline, BeforeSleep before_sleep) {
  require_not_forked();
  const python::GilRelease no_gil;
  const std::chrono::nanoseconds whole_spin(spin_nanoseconds_);
  std::chrono::nanoseconds spin = whole_spin;
  if (deadline != Clock::time_point::max()) {
    const Clock::time_point now = Clock::now();
    spin = std::min(spin, std::max(deadline, now) - now);
  }
  // Not with a deadline so near that it could pass meanwhile.
  if (spin == whole_spin && spin > std::chrono::nanoseconds::zero()) look_away();
  if (spin_until([this] { return settled(); }, spin)) return true;
  before_sleep();
  for (;;) {
    // acquire: it may have settled by now.
    const std::uint32_t state = state_.fetch_or(kWaiter, std::memory_order_acquire) | kWaiter;
    if (phase(state) >= kValue) return true;
    if (Clock::now() >= deadline) return false;
    futex_wait(state_, state, deadline);
  }
}

bool TaskBase::cancel() noexcept {
  if (in_forked_child() || !begin_settling(kQueued)) return false;
  auto failure =
      std::make_shared<const CancelledError>("cancelled before it started", ErrorContext{.task = name()});
  if (core_ != nullptr) {
    core_->finish_cancel(*this, std::move(failure));
  } else {
    drop_work();
    settle_failure(std::move(failure));
  }
  return true;
}

void TaskBase::set_continuation(Continuation& next) noexcept {
  continuation_ = &next;
  // release: the pointer is read by whoever settles. acquire: when it has settled, we act on that.
  const std::uint32_t state = state_.fetch_or(kContinuation, std::memory_order_acq_rel);
  if (phase(state) >= kValue) next.upstream_settled();
}

bool TaskBase::stuck(const WaitCheck& check) const noexcept {
  // acquire: the queue has not gone, nor the parts, if the task had not settled after that.
  if (phase(state_.load(std::memory_order_acquire)) >= kSettling) return false;
  return check.nested([&] { return needs_stuck(check); });
}

bool TaskBase::needs_stuck(const WaitCheck& check) const noexcept {
  if (running()) return check.runs_stuck(*this);
  // A deadline settles it in the queue.
  const bool has_deadline = details_ && details_->deadline != Clock::time_point::max();
  return queue_ != nullptr && !has_deadline && check.all_stuck(queue_);
}

bool TaskBase::settle_run_failure(Failure&& failure) noexcept {
  if (!begin_settling(kRunning)) return false;
  settle_failure(std::move(failure));
  return true;
}

void TaskBase::settle_failure(Failure failure) noexcept {
  failure_ = std::move(failure);
  // `settling` belongs to us alone; others may still add flags, so it is an exchange in a loop, whose first
  // guess may be stale. release: the failure. acquire: the continuation that a flag announces.
  std::uint32_t state = state_.load(std::memory_order_relaxed);
  while (!state_.compare_exchange_weak(state, (state & ~kPhaseMask) | kFailure, std::memory_order_acq_rel,
                                       std::memory_order_relaxed)) {
  }
  announce(state);
}

void TaskBase::refuse() noexcept {
  if (!begin_settling(kQueued)) return;
  drop_work();
  settle_failure(std::make_shared<const ShutdownError>("the executor given to then() did not run it",
                                                       ErrorContext{.task = name()}));
}

void TaskBase::announce(std::uint32_t state) noexcept {
  if ((state & kWaiter) != 0) futex_wake_all(&state_);
  if ((state & kContinuation) != 0) continuation_->upstream_settled();
}

Failure current_failure(const ErrorContext& context) noexcept {
  try {
    try {
      throw;
    } catch (const Error& error) {
      // A type of the host's own that does not override share() would come back as one of ours.
      if (Failure failure = error.share()) {
        const Error& copy = *failure;
        if (typeid(copy) == typeid(error)) return failure;
      }
      return std::make_shared<const NativeError>(std::current_exception(), context);
    } catch (...) {
      return std::make_shared<const NativeError>(std::current_exception(), context);
    }
  } catch (...) {
    return native_out_of_memory();
  }
}

void fail_no_state() {
  throw UsageError(
      "this Future has no task: it was moved from, or its result was taken, or then() was called on it");
}

void fail_nothing_to_wait_for() {
  throw UsageError("when_any() of no futures: there is nothing to wait for");
}

void ResumeTask::attach(TaskBase& upstream) noexcept {
  add_ref();  // held by the upstream, handed on in upstream_settled()
  upstream.set_continuation(*this);
}

void ResumeTask::upstream_settled() noexcept { target_.dispatch(Work(TaskRef<TaskBase>(this))); }

Failure ResumeTask::run(Worker* /*worker*/) noexcept {
  std::exchange(coroutine_, nullptr).resume();
  new (storage()) Unit();
  return nullptr;
}

void ResumeTask::refuse() noexcept {
  Work again(TaskRef<TaskBase>::share(*this));
  if (refused_) {
    // Not even the callback thread takes it, for want of memory.
    again();
    return;
  }
  refused_ = true;  // read by the coroutine, which the callback thread's mutex hands it to
  ContinuationTarget(callback_executor()).dispatch(std::move(again));
}

void ContinuationTarget::dispatch(Work work) const noexcept {
  const python::GilRelease no_gil;
  try {
    if (const auto core = core_) {
      core->execute(std::move(work));
    } else {
      executor_.execute(std::move(work));
    }
  } catch (...) {  // NOLINT(bugprone-empty-catch): the Work, destroyed, has settled its future
  }
}

bool ContinuationTarget::stuck(const WaitCheck& check) const noexcept {
  return core_ != nullptr && core_->stuck(check);
}

void UpstreamLink::clear() noexcept {
  task_.store(nullptr, std::memory_order_seq_cst);  // see BlockedWorkers::let_lookers_finish
  BlockedWorkers::all().let_lookers_finish();
}

bool UpstreamLink::stuck(const WaitCheck& check) const noexcept {
  const TaskBase* task = task_.load(std::memory_order_seq_cst);  // as in clear()
  return task != nullptr && task->stuck(check);
}

}  // namespace interpool::detail

namespace interpool {

Executor::~Executor() = default;

Work& Work::operator=(Work&& other) noexcept {
  if (this != &other) {
    refuse();
    task_ = std::move(other.task_);
  }
  return *this;
}

Work::~Work() { refuse(); }

void Work::operator()() noexcept {
  const auto task = std::move(task_);
  if (!task || !task->claim()) return;
  Failure failure = task->run(nullptr);
  task->drop_work();
  const bool has_value = failure == nullptr;
  if (!task->settle_run(std::move(failure)) && has_value) task->drop_value();  // it was given up
}

void Work::refuse() noexcept {
  if (const auto task = std::move(task_)) task->refuse();
}

}  // namespace interpool
