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
    while (TaskBase* task = next_or_linger()) execute(*task, view);
    state_.detach();
    report_settled();
  }
  current_worker = nullptr;
}

void WorkerThread::stop() noexcept {
  // release: what the stopper prepared (deadlines, …) is there when the loop sees it.
  stopping_.store(true, std::memory_order_release);
  parker_.unpark();
}

bool WorkerThread::maybe_work() const noexcept {
  return (own_ != nullptr && own_->maybe_work()) || (setup_.shared != nullptr && setup_.shared->maybe_work());
}

bool WorkerThread::wait_for_work() noexcept {
  for (;;) {
    if (stopping_.load(std::memory_order_acquire)) return false;
    if (!std::exchange(seated_, false)) {
      if (search()) return true;
      if (sit_down()) parker_.park();
    } else {
      parker_.park();
    }
    stand_up();
    // Another worker may have been faster: no reason to attach, or even to create the interpreter.
    if (maybe_work()) return true;
    arrived(static_cast<bool>(state_));
  }
}

bool WorkerThread::search() noexcept {
  // At most one worker of the executor searches at a time. relaxed: it guards no data.
  if (setup_.spin.count() == 0 || setup_.searching->exchange(true, std::memory_order_relaxed)) return false;
  if (own_ != nullptr) own_->search(own_seat_);
  if (setup_.shared != nullptr) setup_.shared->search(shared_seat_);
  const bool found =
      spin_until([this] { return maybe_work() || stopping_.load(std::memory_order_relaxed); }, setup_.spin);
  setup_.searching->store(false, std::memory_order_relaxed);
  return found && maybe_work();
}

bool WorkerThread::sit_down() noexcept {
  return (own_ == nullptr || own_->sit_down(own_seat_)) &&
         (setup_.shared == nullptr || setup_.shared->sit_down(shared_seat_));
}

void WorkerThread::stand_up() noexcept {
  if (own_ != nullptr) own_->stand_up(own_seat_);
  if (setup_.shared != nullptr) setup_.shared->stand_up(shared_seat_);
}

void WorkerThread::arrived(bool warm) noexcept {
  if (own_ != nullptr) own_->arrived(own_seat_, warm);
  if (setup_.shared != nullptr) setup_.shared->arrived(shared_seat_, warm);
  // Who submitted to the shared queue may have counted on us, and woken nobody else: that comes first.
  shared_next_ = false;
}

TaskBase* WorkerThread::next_or_linger() noexcept {
  // Attached, for less than the detaching and attaching would take that it saves when tasks come in
  // about as fast as they are run.
  constexpr int kPolls = 16;
  if (TaskBase* task = next()) return task;
  if (setup_.spin.count() == 0) return nullptr;
  for (int i = 0; i < kPolls; ++i) {
    spin_pause();
    if (!maybe_work()) continue;
    if (TaskBase* task = next()) return task;
  }
  return nullptr;
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
  // A deadline is kept to the letter, even when the timekeeper is late. False: settled meanwhile by a
  // third party.
  if (!ExecutorCore::expire_if_late(task) && task.claim()) {
    ExecutorCore::forget_deadline(task);
    Failure failure = task.run(&view);
    task.drop_work();
    settle(task, std::move(failure));
  }
  // running() has the reference for the length of a few instructions, and puts it back.
  while (current_.exchange(nullptr, std::memory_order_acq_rel) != &task) spin_pause();
  task.release();
}

void WorkerThread::settle(TaskBase& task, Failure failure) noexcept {
  if (setup_.admission == nullptr) {
    ExecutorCore::settle_run(task, std::move(failure));
    return;
  }
  // Counted before the future is ready, so that who has seen the result finds it counted. relaxed: only
  // this thread writes the number.
  std::atomic<std::uint64_t>& count = failure ? counts_.failed : counts_.completed;
  const std::uint64_t before = count.load(std::memory_order_relaxed);
  count.store(before + 1, std::memory_order_relaxed);
  if (!task.settle_run(std::move(failure))) {
    // Given up by a third party while it ran, which has counted it and returned its place.
    count.store(before, std::memory_order_relaxed);
    return;
  }
  // One read-modify-write of our own instead of one on the word that all submitters write. release: as
  // in Admission::leave().
  if (settled_.fetch_add(1, std::memory_order_release) + 1 >= kReportAfter) report_settled();
}

void WorkerThread::report_settled() noexcept {
  // acq_rel: what the tasks did comes before they leave, whoever reports them.
  const std::uint32_t settled = settled_.exchange(0, std::memory_order_acq_rel);
  if (settled > 0) setup_.admission->leave(settled);
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
    settle(*task, std::make_shared<const WorkerError>(
                      failure->message(),
                      ErrorContext{.task = task->name(), .interpreter = failure->interpreter()}));
    report_settled();
  }
  task->release();
}

}  // namespace interpool::detail
