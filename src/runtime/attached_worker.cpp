#include "runtime/attached_worker.h"

#include "base/keep.h"
#include "python/call.h"
#include "python/initialize.h"
#include "runtime/executor_core.h"
#include "runtime/fork_guard.h"
#include "runtime/inside.h"
#include "runtime/runtime_core.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

namespace interpool::detail {

namespace {

/// What a thread is attached to, ended with it.
class Attachments {
 public:
  Attachments() = default;
  ~Attachments() {
    while (!workers_.empty()) {
      auto worker = std::move(workers_.back());
      workers_.pop_back();
      if (in_forked_child()) {
        keep_for_ever(std::move(worker));
        continue;
      }
      ExecutorCore& core = worker->core();
      if (worker->end(after(core.options().stop_timeout))) continue;
      core.runtime().log().warn(
          "executor '{}': the interpreter of a thread that was attached and has ended was left standing: "
          "Python threads are still in it",
          core.options().name);
      keep_for_ever(std::move(worker));
    }
  }
  Attachments(const Attachments&) = delete;
  Attachments& operator=(const Attachments&) = delete;

  /// The one that can be used; others could not be ended.
  [[nodiscard]] std::shared_ptr<AttachedWorker> find(const ExecutorCore& core) const {
    const auto found = std::ranges::find_if(
        workers_, [&](const auto& worker) { return &worker->core() == &core && !worker->closed(); });
    return found == workers_.end() ? nullptr : *found;
  }
  void add(std::shared_ptr<AttachedWorker> worker) { workers_.push_back(std::move(worker)); }
  void remove(const AttachedWorker& gone) {
    std::erase_if(workers_, [&](const auto& worker) { return worker.get() == &gone; });
  }

 private:
  std::vector<std::shared_ptr<AttachedWorker>> workers_;
};

Attachments& attachments() {
  Inside::prepare_thread();
  thread_local Attachments of_this_thread;
  return of_this_thread;
}

void raise_if(const Failure& failure) {
  if (failure) failure->raise();
}

/// What a scope ends with.
template <class F>
class AtEnd {
 public:
  explicit AtEnd(F end) noexcept : end_(std::move(end)) {}
  ~AtEnd() { end_(); }
  AtEnd(const AtEnd&) = delete;
  AtEnd& operator=(const AtEnd&) = delete;

 private:
  F end_;
};

const std::string& attaching() {
  static const std::string name = "attach()";
  return name;
}
const std::string& running_callable() {
  static const std::string name = "a callable on an attached thread";
  return name;
}

}  // namespace

/// Whose call, or end, the thread is in.
class AttachedWorker::Frame {
 public:
  explicit Frame(AttachedWorker& worker) noexcept : worker_(worker), outer_(innermost) { innermost = this; }
  ~Frame() { innermost = outer_; }
  Frame(const Frame&) = delete;
  Frame& operator=(const Frame&) = delete;

  [[nodiscard]] AttachedWorker& worker() const noexcept { return worker_; }
  [[nodiscard]] const Frame* outer() const noexcept { return outer_; }

  static inline constinit thread_local Frame* innermost = nullptr;

 private:
  AttachedWorker& worker_;
  Frame* const outer_;
};

/// One call, from its admission to its account.
class AttachedWorker::Call {
 public:
  /// Throws ShutdownError if it is not admitted.
  Call(AttachedWorker& worker, const std::string& name) : worker_(admit(worker, name)), frame_(worker) {
    worker.calling_ = true;
    if (Observer* const observer = worker.core_->observer()) {
      TaskEvent event = worker.event();
      const auto started = std::exchange(event.started, std::nullopt);
      observer->task_accepted(event);
      event.started = started;
      observer->task_started(event);
    }
    measured_ = worker.sampler_.due();
  }
  ~Call() {
    Inside::finish_lines();
    worker_.calling_ = false;
    if (measured_) count_times();
    if (!worker_.gate_.leave(
            [&] { add_one(completed_ ? worker_.counts_.completed : worker_.counts_.failed); })) {
      return;  // given up, and counted
    }
    if (Observer* const observer = worker_.core_->observer()) {
      TaskEvent event = worker_.event();
      event.settled = Clock::now();
      event.outcome = completed_ ? Outcome::kCompleted : Outcome::kFailed;
      observer->task_settled(event);
    }
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  void completed() noexcept { completed_ = true; }
  /// Enters the interpreter, which is measured if this call is.
  Failure enter() noexcept {
    Membership& membership = worker_.membership_;
    if (!measured_ && membership.enter_again()) return nullptr;
    bool attaches = membership.only_attaches();  // and does nothing else before the call
    for (;;) {
      Membership::Entry entry = membership.enter(measured_ ? &wait_ : nullptr);
      if (!entry.replaced) {
        if (measured_ && attaches) {
          worker_.times_.gil_wait.add(wait_.end - wait_.begin, worker_.sampler_.weight());
        }
        return std::move(entry.failure);
      }
      membership.move();
      attaches = false;
    }
  }
  /// After the work, attached: what follows for a replaced interpreter is none of it.
  void rest() noexcept {
    if (measured_) end_ = Clock::now();
    worker_.membership_.rest();
  }

 private:
  static AttachedWorker& admit(AttachedWorker& worker, const std::string& name) {
    // Sooner than what follows overwrites it: of a call that somebody has given up, and tells about now.
    if (worker.gate_.closed()) throw ShutdownError("the executor is closed", {.task = name});
    worker.name_.store(&name, std::memory_order_release);  // release: the text
    if (worker.core_->observer() != nullptr) {
      // Before anybody can give it up.
      const MutexLock lock(worker.observed_mutex_);
      worker.number_ = worker.core_->next_number();
      worker.called_ = Clock::now();
    }
    if (!worker.gate_.try_enter([&] { add_one(worker.accepted_); })) {
      throw ShutdownError("the executor is closed", {.task = name});
    }
    return worker;
  }
  /// relaxed: only this thread writes the number; the gate publishes it.
  static void add_one(std::atomic<std::uint64_t>& count) noexcept {
    count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  void count_times() noexcept {
    const Clock::time_point end = std::max(end_, wait_.end);  // it may not have begun
    worker_.times_.running.add(end - wait_.end, worker_.sampler_.weight());
    worker_.sampler_.measured(end - wait_.begin < kSlowTask);
  }

  AttachedWorker& worker_;
  const Frame frame_;
  bool completed_ = false;
  bool measured_ = false;
  GilWait wait_;
  Clock::time_point end_;
};

AttachedWorker::AttachedWorker(std::shared_ptr<ExecutorCore> core, std::size_t index,
                               std::shared_ptr<InterpreterPlace> place)
    : core_(std::move(core)),
      id_(worker_id(Lane::kAttached, index)),
      index_(index),
      name_(&attaching()),
      membership_({.lane = Lane::kAttached,
                   .index = index,
                   .hooks = &core_->options().hooks,
                   .recycle = core_->recycle(),
                   .log = &core_->runtime().log(),
                   .teller = {.observer = core_->observer(), .executor = &core_->options().name}},
                  std::move(place)) {}

AttachedWorker::~AttachedWorker() = default;

std::shared_ptr<AttachedWorker> AttachedWorker::of_this_thread(const std::shared_ptr<ExecutorCore>& core) {
  if (WorkerThread::current() != nullptr) {
    throw UsageError("attach(): a worker has an interpreter; use the Worker that its task was given");
  }
  if (auto known = attachments().find(*core)) return known;
  auto worker = core->add_attached();
  attachments().add(worker);
  try {
    worker->run([](Worker& /*set up by now*/) {});
  } catch (...) {
    worker->end(Clock::now());
    throw;
  }
  return worker;
}

AttachedWorker* AttachedWorker::current() noexcept {
  return Frame::innermost == nullptr ? nullptr : &Frame::innermost->worker();
}

bool AttachedWorker::calling(const ExecutorCore& core) noexcept {
  for (const Frame* frame = Frame::innermost; frame != nullptr; frame = frame->outer()) {
    if (frame->worker().core_.get() == &core) return true;
  }
  return false;
}

std::optional<std::string_view> AttachedWorker::task_name() const noexcept {
  if (ending_) return std::nullopt;
  const std::string& name = call_name();
  return &name == &running_callable() ? std::string_view() : std::string_view(name);
}

bool AttachedWorker::give_up() noexcept {
  if (!gate_.give_up([&] { counts_.abandoned.fetch_add(1, std::memory_order_relaxed); })) return false;
  if (Observer* const observer = core_->observer()) {
    TaskEvent told = event();
    told.settled = Clock::now();
    told.outcome = Outcome::kAbandoned;
    observer->task_settled(told);
  }
  return true;
}

TaskEvent AttachedWorker::event() const noexcept {
  const std::string& name = call_name();
  const MutexLock lock(observed_mutex_);
  return {.task = number_,
          .executor = core_->options().name,
          .name = &name == &running_callable() ? std::string_view() : std::string_view(name),
          .lane = Lane::kAttached,
          .worker = id_,
          .submitted = called_,
          .started = called_};
}

void AttachedWorker::require_own_thread() const {
  if (owner_ != std::this_thread::get_id()) {
    throw UsageError(
        "an attachment is used on another thread than attached: each thread calls attach() itself");
  }
  if (released_) throw UsageError("an attachment is used after its release(): attach() makes a new one");
}

void AttachedWorker::call(const FunctionEntry& function, EncodeThunk encode, const void* args,
                          DecodeThunk decode, void* storage) {
  require_own_thread();
  const auto python_call = [&] {
    return python::call(
        *membership_.interpreter(), function, [&] { return function.name; },
        [&] { return core_->callback_gate(); }, encode, args, decode, storage);
  };
  if (calling_) {  // inside a call of ours: a part of it
    run([&](Worker& /*ours*/) { raise_if(python_call()); });
    return;
  }
  require_not_forked();
  Failure failure;
  {
    Call account(*this, function.name);
    const python::GilRelease aside;
    failure = account.enter();
    if (!failure) {
      failure = python_call();
      account.rest();
      if (!failure) account.completed();
    }
  }
  raise_if(failure);
}

void AttachedWorker::run(FunctionRef<void(Worker&)> work) {
  require_own_thread();
  if (calling_) {
    const Frame inside(*this);
    if (attached()) {
      Worker worker = view();
      return work(worker);
    }
    if (membership_.ending() || !membership_.inside()) {
      throw UsageError("an attachment is used without its GIL while its interpreter ends");
    }
    Worker worker = view();
    // Inside the call the thread has gone on to another interpreter, or has released the GIL.
    const python::GilRelease aside;
    membership_.attach();
    const AtEnd detach([&]() noexcept { membership_.detach(); });
    return work(worker);
  }
  require_not_forked();
  Call account(*this, running_callable());
  const python::GilRelease aside;
  raise_if(account.enter());
  const AtEnd rest([&]() noexcept { account.rest(); });
  Worker worker = view();
  work(worker);
  account.completed();
}

bool AttachedWorker::release(Clock::time_point deadline) {
  require_own_thread();
  if (calling_) throw UsageError("release() inside a call through the attachment");
  return end(deadline);
}

bool AttachedWorker::end(Clock::time_point deadline) noexcept {
  if (owner_ != std::this_thread::get_id() || calling_) return false;
  if (released_) return true;
  gate_.close();
  if (!end_interpreter(deadline)) return false;
  released_ = true;
  core_->remove_attached(*this);
  attachments().remove(*this);
  return true;
}

bool AttachedWorker::end_interpreter(Clock::time_point deadline) noexcept {
  // Hooks, atexit callbacks and destructors are inside of it as they are inside of a call.
  const Frame ending(*this);
  calling_ = true;
  ending_ = true;
  bool ended = true;
  // What an adopted Python's host has finalized is gone.
  if (python::is_initialized()) {
    const python::GilRelease aside;
    ended = membership_.leave(deadline);
    Inside::finish_lines();
  }
  calling_ = false;
  ending_ = false;
  return ended;
}

void attached_call(AttachedWorker& worker, const FunctionEntry& function, EncodeThunk encode,
                   const void* args, DecodeThunk decode, void* storage) {
  worker.call(function, encode, args, decode, storage);
}

void attached_run(AttachedWorker& worker, FunctionRef<void(Worker&)> work) { worker.run(work); }

const FunctionEntry& function_entry(AttachedWorker& worker, std::string_view name) {
  return function_entry(worker.core(), name);
}

}  // namespace interpool::detail

namespace interpool {

detail::AttachedWorker& AttachedThread::behind() const {
  if (!worker_) throw UsageError("this AttachedThread was moved from");
  return *worker_;
}

void AttachedThread::release() {
  require_not_forked();
  detail::AttachedWorker& worker = behind();
  if (!worker.release(detail::after(worker.core().options().stop_timeout))) {
    throw WorkerError("the interpreter was left standing: Python threads are still in it");
  }
}

}  // namespace interpool
