#include "runtime/worker_thread.h"

#include "base/check.h"
#include "runtime/executor_core.h"
#include "runtime/worker_access.h"

#include <utility>

namespace interpool::detail {

namespace {

thread_local WorkerThread* current_worker = nullptr;

/// Stands in WorkerThread::current_ while running() makes itself a reference. Never dereferenced.
TaskBase* const kBorrowed = reinterpret_cast<TaskBase*>(alignof(std::max_align_t));

}  // namespace

WorkerThread::WorkerThread(const Setup& setup, std::shared_ptr<InterpreterGroup> group)
    : setup_(setup),
      group_(std::move(group)),
      own_(setup.has_own_queue ? std::make_unique<TaskQueue>() : nullptr) {
  if (own_) own_seat_ = own_->add_seat(*this, parker_, 0);
  if (setup_.shared != nullptr) shared_seat_ = setup_.shared->add_seat(*this, parker_, setup_.shared_group);
}

WorkerThread::~WorkerThread() = default;

WorkerThread* WorkerThread::current() noexcept { return current_worker; }

void WorkerThread::run(python::ThreadState state) noexcept {
  current_worker = this;
  state_ = std::move(state);
  while (wait_for_work()) {
    const Failure failure = group_->enter(state_);
    arrived(static_cast<bool>(state_));
    if (failure) {
      fail_next(failure);
      continue;
    }
    Worker view = WorkerAccess::make(setup_.lane, setup_.index, group_->handle());
    while (TaskBase* task = next()) execute(*task, view);
    state_.detach();
  }
  current_worker = nullptr;
}

void WorkerThread::stop() noexcept {
  // release: what the stopper prepared (deadlines, …) is there when the loop sees it.
  stopping_.store(true, std::memory_order_release);
  parker_.unpark();
}

bool WorkerThread::wait_for_work() noexcept {
  for (;;) {
    if (stopping_.load(std::memory_order_acquire)) return false;
    // exchange: at most one worker of the executor spins at a time. relaxed: it guards no data.
    const bool spins = setup_.spin.count() > 0 && setup_.spinner != nullptr &&
                       !setup_.spinner->exchange(true, std::memory_order_relaxed);
    if (std::exchange(seated_, false) || sit_down(spins))
      parker_.park(spins ? setup_.spin : std::chrono::nanoseconds::zero());
    stand_up();
    if (spins) setup_.spinner->store(false, std::memory_order_relaxed);
    // Another worker may have been faster: no reason to attach, or even to create the interpreter.
    if ((own_ != nullptr && own_->maybe_work()) || (setup_.shared != nullptr && setup_.shared->maybe_work()))
      return true;
    arrived(static_cast<bool>(state_));
  }
}

bool WorkerThread::sit_down(bool spins) noexcept {
  return (own_ == nullptr || own_->sit_down(own_seat_, spins)) &&
         (setup_.shared == nullptr || setup_.shared->sit_down(shared_seat_, spins));
}

void WorkerThread::stand_up() noexcept {
  if (own_ != nullptr) own_->stand_up(own_seat_);
  if (setup_.shared != nullptr) setup_.shared->stand_up(shared_seat_);
}

void WorkerThread::arrived(bool warm) noexcept {
  if (own_ != nullptr) own_->arrived(own_seat_, warm);
  if (setup_.shared != nullptr) setup_.shared->arrived(shared_seat_, warm);
}

TaskBase* WorkerThread::next() noexcept {
  if (own_ == nullptr) return setup_.shared->take();
  if (setup_.shared == nullptr) return own_->take();
  shared_next_ = !shared_next_;
  TaskQueue& first = shared_next_ ? *setup_.shared : *own_;
  TaskQueue& second = shared_next_ ? *own_ : *setup_.shared;
  if (first.maybe_work()) {
    if (TaskBase* task = first.take()) return task;
  }
  return second.take();
}

void WorkerThread::execute(TaskBase& task, Worker& view) noexcept {
  current_.store(&task, std::memory_order_release);  // release: running() uses the task
  // False: settled meanwhile by a third party.
  if (task.claim()) {
    ExecutorCore::forget_deadline(task);
    Failure failure = task.run(&view);
    task.drop_work();
    ExecutorCore::settle_run(task, std::move(failure), own_counts());
  }
  // running() has the reference for the length of a few instructions, and puts it back.
  while (current_.exchange(nullptr, std::memory_order_acq_rel) != &task) spin_pause();
  task.release();
}

TaskRef<TaskBase> WorkerThread::running() noexcept {
  // Borrowing it makes the worker wait before it drops its reference, so that we can make ours.
  TaskBase* task = current_.load(std::memory_order_relaxed);
  for (;;) {
    if (task == nullptr) return {};
    if (task == kBorrowed) {  // somebody else asks, too
      task = current_.load(std::memory_order_relaxed);
    } else if (current_.compare_exchange_weak(task, kBorrowed, std::memory_order_acquire,
                                              std::memory_order_relaxed)) {
      break;
    }
  }
  auto reference = TaskRef<TaskBase>::share(*task);
  current_.store(task, std::memory_order_release);
  return reference;
}

void WorkerThread::fail_next(const Failure& failure) noexcept {
  TaskBase* task = next();
  if (task == nullptr) return;
  if (task->claim()) {
    ExecutorCore::forget_deadline(*task);
    task->drop_work();
    ExecutorCore::settle_run(
        *task,
        std::make_shared<const WorkerError>(
            failure->message(), ErrorContext{.task = task->name(), .interpreter = failure->interpreter()}),
        own_counts());
  }
  task->release();
}

}  // namespace interpool::detail
