#include "runtime/membership.h"

#include "base/check.h"
#include "interpool/detail/clock.h"
#include "interpool/executor.h"
#include "runtime/inside.h"
#include "runtime/worker_access.h"
#include "runtime/worker_hooks.h"

#include <utility>

namespace interpool::detail {

namespace {

/// How long raw threads of Python (`_thread`) may still run in an interpreter that is replaced.
constexpr std::chrono::milliseconds kPatience(500);

}  // namespace

Failure Membership::enter() noexcept {
  for (;;) {
    if (group_ == nullptr) group_ = place_->group();
    if (Failure failure = group_->enter(state_)) {
      if (inside() || !group_->retired()) return failure;
      group_ = nullptr;  // it was replaced before we came
      continue;
    }
    if (!group_->retired()) break;
    detach();
    move();
  }
  if (!started_ && setup_.hooks != nullptr) {
    Worker worker = view();
    if (Failure failure = run_start_hooks(*setup_.hooks, worker)) {
      state_.detach();
      return failure;
    }
    started_ = true;
  }
  ready_ = true;
  return nullptr;
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
  if (left_.group != nullptr && !left_.group->others_inside()) end_left(after(kPatience));
  Inside::finish_lines();
}

bool Membership::end_left(Clock::time_point deadline) noexcept {
  if (left_.group == nullptr) return true;
  if (!left_.group->leave(left_.state, deadline)) {
    left_.stands = true;
    return false;
  }
  left_ = {};
  return true;
}

bool Membership::leave(Clock::time_point deadline) noexcept {
  run_stop_hooks();
  const bool ended = end_left(deadline);
  return (group_ == nullptr || group_->leave(state_, deadline)) && ended;
}

Worker Membership::view() const noexcept {
  return WorkerAccess::make(setup_.lane, setup_.index, group_->handle());
}

}  // namespace interpool::detail
