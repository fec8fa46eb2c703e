#include "runtime/worker_thread.h"

#include "base/check.h"
#include "runtime/executor_core.h"
#include "runtime/inside.h"
#include "runtime/task_context.h"

#include <fmt/format.h>

#include <utility>

namespace interpool::detail {

namespace {

thread_local WorkerThread* current_worker = nullptr;

}  // namespace

std::string worker_id(Lane lane, std::size_t index) {
  // There is one main lane.
  return lane == Lane::kMain ? to_string(lane) : fmt::format("{}-{}", to_string(lane), index);
}

WorkerThread::WorkerThread(const Setup& setup, std::shared_ptr<InterpreterPlace> place)
    : setup_(setup),
      id_(worker_id(setup.lane, setup.index)),
      place_(std::move(place)),
      own_(place_->queue()),
      own_seat_(own_.add_seat(*this, parker_, 0)),
      membership_({.lane = setup.lane,
                   .index = setup.index,
                   .hooks = setup.hooks,
                   .recycle = setup.recycle,
                   .log = setup.log,
                   .teller = setup.teller},
                  place_) {
  place_->add_thread(parker_);
  if (setup_.shared != nullptr) shared_seat_ = setup_.shared->add_seat(*this, parker_, setup_.shared_group);
}

WorkerThread::~WorkerThread() = default;

WorkerThread* WorkerThread::current() noexcept { return current_worker; }

void WorkerThread::run(python::ThreadState state) noexcept {
  current_worker = this;
  membership_.adopt(std::move(state));
  while (wait_for_work()) {
    if (membership_.has_to_move()) {
      // What comes meanwhile is for others.
      arrived(warm());
      if constexpr (kMeasureTimes) idle(Clock::now());
      membership_.move();
      arrived(warm());
      continue;
    }
    const Membership::Entry entry = enter();
    arrived(warm());
    if (entry.replaced) continue;
    entered_ = entry.failure == nullptr;
    if (entry.failure) {
      fail_next(entry.failure);
      continue;
    }
    Worker view = membership_.view();
    bool attached = true;
    if (place_->has_chores()) place_->do_chores(*interpreter());
    for (unsigned count = 1; TaskBase* task = next_or_linger(); ++count) {
      if (place_->has_chores()) place_->do_chores(*interpreter());
      if (membership_.group().behind()) {
        if (const Failure late = membership_.catch_up()) {
          fail(*task, late);
          put_down();
          attached = false;
          break;
        }
      }
      execute(*task, view);
      // Nobody waits for its result any more, which may take its time to die: not with the next task in hand.
      if (task->only_reference()) put_down();
      if (count % kYieldAfter == 0) yield();
      if (membership_.due()) {  // last: somebody may have replaced the interpreter meanwhile
        put_down();             // before an interpreter ends, which may take long
        membership_.detach();
        attached = false;
        break;
      }
    }
    if (attached) membership_.detach();
    report_settled();
  }
}

Membership::Entry WorkerThread::enter() noexcept {
  if constexpr (!kMeasureTimes) return membership_.enter();
  // What is more than waiting for the GIL is no running either, so that is measured always.
  const bool attaches = membership_.only_attaches();
  GilWait wait;
  const bool measures = !attaches || gil_sampler_.due();
  if (measures) idle(Clock::now());
  Membership::Entry entry = membership_.enter(measures ? &wait : nullptr);
  if (measures && attaches) {
    const Clock::duration waited = wait.end - wait.begin;
    counts_.times.gil_wait.add(waited, gil_sampler_.weight());
    gil_sampler_.measured(waited < kSlowGil);
  }
  if (entry.replaced || entry.failure) return entry;
  if (measures) seen_ = attaches ? wait.end : Clock::now();
  // Where it has not been idle, the watch has gone on.
  if (!counts_.times.running.runs()) counts_.times.running.start(seen_);
  return entry;
}

bool WorkerThread::warm() const noexcept { return membership_.inside() || place_->exists(); }

void WorkerThread::yield() noexcept {
  // For other threads of the interpreter: calls of C functions never look whether one wants the GIL.
  if constexpr (kMeasureTimes) idle(Clock::now());
  {
    const python::GilRelease yield;
  }
  if constexpr (kMeasureTimes) {
    const Clock::time_point before = std::exchange(seen_, Clock::now());
    counts_.times.gil_wait.add(seen_ - before);
    counts_.times.running.start(seen_);
  }
}

void WorkerThread::idle(Clock::time_point now) noexcept {
  if constexpr (!kMeasureTimes) return;
  seen_ = now;
  if (counts_.times.running.runs()) counts_.times.running.stop(now);
}

void WorkerThread::note_waiting(TaskBase& task) noexcept {
  const Clock::duration waited = ExecutorCore::measured_wait(task);
  (is_main() ? task.core()->main_times().waiting : counts_.times.waiting).add(waited);
}

bool WorkerThread::leave(std::chrono::steady_clock::time_point deadline) {
  const bool ended = membership_.leave(deadline);
  Inside::finish_lines();
  retire();
  return ended;
}

void WorkerThread::retire() noexcept { current_worker = nullptr; }

void WorkerThread::stop() noexcept {
  // release: what the stopper prepared (deadlines, …) is there when the loop sees it.
  stopping_.store(true, std::memory_order_release);
  parker_.unpark();
}

bool WorkerThread::maybe_work() const noexcept {
  return own_.maybe_work() || (entered_ && membership_.inside() && place_->has_chores()) ||
         membership_.has_to_move() || (setup_.shared != nullptr && setup_.shared->maybe_work());
}

bool WorkerThread::wait_for_work() noexcept {
  for (;;) {
    if (stopping_.load(std::memory_order_acquire)) {  // acquire: pairs with stop()
      if constexpr (kMeasureTimes) idle(Clock::now());
      return false;
    }
    if (!std::exchange(seated_, false)) {
      if (membership_.has_to_move()) return true;  // the queues, which we sit down at, know nothing of it
      if (search()) return true;
      if (kMeasureTimes && counts_.times.running.runs()) idle(Clock::now());
      if (sit_down()) parker_.park();
    } else {
      parker_.park();
    }
    if constexpr (kMeasureTimes) idle(Clock::now());
    stand_up();
    // Another worker may have been faster: no reason to attach, or even to create the interpreter.
    if (maybe_work()) return true;
    arrived(warm());
  }
}

bool WorkerThread::search() noexcept {
  // Only with an interpreter at hand: while we created one, our search would keep others from being woken.
  if (!membership_.inside()) return false;
  // At most one worker of the executor searches at a time. relaxed: it guards no data.
  if (setup_.spin.count() == 0 || setup_.searching->exchange(true, std::memory_order_relaxed)) return false;
  own_.search(own_seat_);
  if (setup_.shared != nullptr) setup_.shared->search(shared_seat_);
  // relaxed: it only ends the search; wait_for_work() looks again, with acquire.
  const bool found = spin_until([this] { return maybe_work() || stopping_.load(std::memory_order_relaxed); },
                                setup_.spin, [this](Clock::time_point now) { idle(now); });
  // relaxed: as above; what the queues know of a search is under their mutexes.
  setup_.searching->store(false, std::memory_order_relaxed);
  if (!found || !maybe_work()) return false;
  own_.found(own_seat_);
  if (setup_.shared != nullptr) setup_.shared->found(shared_seat_);
  return true;
}

bool WorkerThread::sit_down() noexcept {
  return own_.sit_down(own_seat_) && (setup_.shared == nullptr || setup_.shared->sit_down(shared_seat_));
}

void WorkerThread::stand_up() noexcept {
  own_.stand_up(own_seat_);
  if (setup_.shared != nullptr) setup_.shared->stand_up(shared_seat_);
}

void WorkerThread::arrived(bool warm) noexcept {
  own_.arrived(own_seat_, warm);
  if (setup_.shared != nullptr) setup_.shared->arrived(shared_seat_, warm);
  // Who submitted to the shared queue may have counted on us, and woken nobody else: that comes first.
  turn_ = 0;
}

TaskBase* WorkerThread::take_from(TaskQueue& queue) noexcept {
  if (took_from_ != &queue) put_down();
  TaskBase* task = queue.take(seat_at(queue));
  took_from_ = task == nullptr ? nullptr : &queue;
  return task;
}

void WorkerThread::put_down() noexcept {
  if (TaskQueue* queue = std::exchange(took_from_, nullptr)) queue->put_down(seat_at(*queue));
}

TaskBase* WorkerThread::next() noexcept {
  if (setup_.shared == nullptr) return take_from(own_);
  // The own queue comes first, but now and then the other's turn comes. Where there seems to be nothing is
  // not looked into: sit_down() finds what is missed here.
  constexpr unsigned kTurns = 16;
  const bool shared_first = turn_++ % kTurns == 0;
  if (!shared_first && own_.maybe_work()) {
    if (TaskBase* task = take_from(own_)) return task;
  }
  if (TaskBase* task = take_from(*setup_.shared)) return task;
  return shared_first && own_.maybe_work() ? take_from(own_) : nullptr;
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

void WorkerThread::execute(TaskBase& task, Worker& view) noexcept {
  // A deadline is kept to the letter, even when the timekeeper is late. False: settled meanwhile by a
  // third party.
  if (ExecutorCore::expire_if_late(task) || !task.claim()) return;
  ExecutorCore::forget_deadline(task);
  if (ExecutorCore::is_timed(task)) note_waiting(task);
  if (task.details() != nullptr) ExecutorCore::tell_started(task, id_);
  if (is_main()) begin_main(*task.core());
  task_ = &task;
  Failure failure = run_task(task, view);
  task.drop();
  Inside::finish_lines();
  task_ = nullptr;
  if (kMeasureTimes && is_main()) task.core()->main_times().running.stop(Clock::now());
  settle(task, std::move(failure));
}

void WorkerThread::begin_main(ExecutorCore& core) noexcept {
  if constexpr (!kMeasureTimes) return;
  WorkTimes& times = core.main_times();
  const Clock::duration waited = counts_.times.gil_wait.get();
  times.gil_wait.add(waited - std::exchange(gil_wait_told_, waited));
  times.running.start(Clock::now());
}

void WorkerThread::settle(TaskBase& task, Failure&& failure) noexcept {
  if (setup_.admission == nullptr) {
    ExecutorCore::settle_run(task, std::move(failure));
    return;
  }
  const bool has_value = failure == nullptr;
  std::atomic<std::uint64_t>& count = has_value ? counts_.completed : counts_.failed;
  // relaxed, here and below: only this thread writes the number, and settle_run() publishes it with the
  // result.
  const std::uint64_t before = count.load(std::memory_order_relaxed);
  // Counted before the future is ready, so that who has seen the result finds it counted; and not at all
  // for a task that a third party has given up, and counted.
  if (task.running()) {
    count.store(before + 1, std::memory_order_relaxed);
    if (task.settle_run(std::move(failure))) {
      if (task.details() != nullptr)
        ExecutorCore::tell_settled(task, has_value ? Outcome::kCompleted : Outcome::kFailed, id_);
      // release: what the task did comes before it leaves, whoever reports it. relaxed: our own number.
      const std::uint64_t settled = settled_.load(std::memory_order_relaxed) + 1;
      settled_.store(settled, std::memory_order_release);
      if (settled % kReportAfter == 0) report_settled();
      return;
    }
    count.store(before, std::memory_order_relaxed);  // given up just now
  }
  if (has_value) task.drop_value();
}

void WorkerThread::report_settled() noexcept {
  const std::uint64_t settled = settled_.load(std::memory_order_acquire);  // pairs with settle()
  std::uint64_t reported = reported_.load(std::memory_order_relaxed);      // a guess; the exchange finds out
  while (reported < settled) {
    // relaxed: it only decides who reports them.
    if (reported_.compare_exchange_weak(reported, settled, std::memory_order_relaxed)) {
      setup_.admission->leave(static_cast<std::uint32_t>(settled - reported));
      return;
    }
  }
}

TaskRef<TaskBase> WorkerThread::running() noexcept {
  if (auto task = own_.taken_by(own_seat_)) return task;
  return setup_.shared == nullptr ? TaskRef<TaskBase>() : setup_.shared->taken_by(shared_seat_);
}

BlockedWorker WorkerThread::blocked_by(const TaskBase& task) noexcept {
  const auto lane = [](const TaskQueue* queue) {
    return queue == nullptr ? BlockedWorker::Lane() : BlockedWorker::Lane{queue, queue->seats()};
  };
  // The queue holds what runs here until we come back.
  return {.lanes = {lane(&own_), lane(setup_.shared)}, .runs = running().get(), .awaits = &task};
}

void WorkerThread::fail_next(const Failure& failure) noexcept {
  TaskBase* task = next();
  if (task == nullptr) return;
  fail(*task, failure);
  report_settled();
  put_down();
}

void WorkerThread::fail(TaskBase& task, const Failure& failure) noexcept {
  if (!task.claim()) return;
  ExecutorCore::forget_deadline(task);
  if (ExecutorCore::is_timed(task)) note_waiting(task);
  task.drop();
  settle(task,
         std::make_shared<const WorkerError>(
             failure->message(), ErrorContext{.task = task.name(), .interpreter = failure->interpreter()}));
}

}  // namespace interpool::detail
