#include "runtime/membership.h"

#include "base/check.h"
#include "interpool/detail/clock.h"
#include "interpool/executor.h"
#include "runtime/inside.h"
#include "runtime/worker_access.h"
#include "runtime/worker_hooks.h"
#include "runtime/worker_thread.h"

#include <utility>

namespace interpool::detail {

namespace {

/// How long raw threads of Python (`_thread`) may still run in an interpreter that is replaced.
constexpr std::chrono::milliseconds kPatience(500);

}  // namespace

Membership::Entry Membership::enter(GilWait* wait) noexcept {
  if (wait != nullptr) wait->begin = Clock::now();
  for (;;) {
    if (group_ == nullptr) group_ = place_->group();
    const bool joins = !inside();
    Failure not_entered = group_->enter(state_);
    // Also where setting it up has failed: it is there.
    if (joins && inside()) tell_started();
    if (not_entered) {
      if (wait != nullptr) wait->end = Clock::now();
      if (inside() || !group_->retired()) return {.failure = std::move(not_entered)};
      group_ = nullptr;  // it was replaced before we came
      continue;
    }
    if (!group_->retired()) break;
    detach();
    return {.replaced = true};
  }
  if (wait != nullptr) wait->end = Clock::now();
  if (!started_ && setup_.hooks != nullptr) {
    Worker worker = view();
    if (Failure failure = run_start_hooks(*setup_.hooks, worker)) {
      state_.detach();
      return {.failure = std::move(failure)};
    }
    started_ = true;
  }
  ready_ = true;
  return {};
}

void Membership::tell_started() const noexcept {
  if (setup_.teller.observer == nullptr || !group_->created_here()) return;
  setup_.teller.observer->interpreter_started(event(*group_, worker_id(setup_.lane, setup_.index)));
}

bool Membership::leave(InterpreterGroup& group, python::ThreadState& state, Clock::time_point deadline) {
  if (!state) return true;
  struct Ending {
    InterpreterGroup*& group;
    ~Ending() { group = nullptr; }
  };
  // Hooks, atexit callbacks and destructors are inside of it as they are inside of a task.
  ending_ = &group;
  const Ending until_done{ending_};
  Observer* const observer = setup_.teller.observer;
  if (observer == nullptr || !group.created_here()) return group.leave(state, deadline);
  const std::string worker = worker_id(setup_.lane, setup_.index);
  InterpreterEvent ended = event(group, worker);
  if (!group.leave(state, deadline)) return false;
  ended.time = Clock::now();
  observer->interpreter_ended(ended);
  return true;
}

InterpreterEvent Membership::event(const InterpreterGroup& group, const std::string& worker) const noexcept {
  return {.executor = *setup_.teller.executor,
          .worker = worker,
          .lane = setup_.lane,
          .interpreter = group.handle().id(),
          .generation = group.generation(),
          .start_time = group.start_time(),
          .time = Clock::now()};
}

void Membership::run_stop_hooks() noexcept {
  ready_ = false;
  if (!std::exchange(started_, false)) return;
  attach();
  Worker worker = view();
  detail::run_stop_hooks(*setup_.hooks, worker, *setup_.log);
  detach();
}

void Membership::move() noexcept {
  if (inside() && group_->retired()) {
    run_stop_hooks();
    if (group_->created_here()) {
      INTERPOOL_CHECK(left_.group == nullptr,
                      "an interpreter is replaced before the one before it has ended");
      left_ = {.group = std::move(group_), .state = std::move(state_)};
    } else {
      group_->leave(state_, Clock::now());
      place_->wake();  // its creator may have waited for us
    }
    group_ = nullptr;
  }
  if (left_.group != nullptr && !left_.group->others_inside()) {
    const bool again = left_.tried;
    left_.tried = true;
    // Once with patience; after that its worker looks again whenever the interpreter would be replaced.
    if (!end_left(again ? Clock::now() : after(kPatience)) && !again) {
      setup_.log->warn(
          "worker {}: interpreter {} is replaced, but Python threads are still in it; it is left standing, "
          "and no other "
          "is replaced, until they have ended",
          worker_id(setup_.lane, setup_.index), left_.group->handle().id());
    }
  }
  Inside::finish_lines();
}

bool Membership::end_left(Clock::time_point deadline) noexcept {
  if (left_.group == nullptr) return true;
  if (!leave(*left_.group, left_.state, deadline)) {
    left_.stands = true;
    return false;
  }
  left_ = {};
  return true;
}

bool Membership::leave(Clock::time_point deadline) noexcept {
  run_stop_hooks();
  const bool ended = end_left(deadline);
  return (group_ == nullptr || leave(*group_, state_, deadline)) && ended;
}

Worker Membership::view() const noexcept {
  const InterpreterGroup& group = ending_ != nullptr ? *ending_ : *group_;
  return WorkerAccess::make(setup_.lane, setup_.index, group.handle());
}

}  // namespace interpool::detail
