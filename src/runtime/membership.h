// Membership: a worker in its interpreter.
#pragma once

#include "base/log.h"
#include "interpool/worker.h"
#include "python/thread_state.h"
#include "runtime/interpreter_group.h"

#include <chrono>
#include <cstddef>
#include <memory>

namespace interpool {
struct WorkerHooks;
}

namespace interpool::detail {

/// One worker's part in an interpreter: its thread state, and the hooks that run once it has one and before
/// it gives it up. For the worker's own thread, but for group().
class Membership {
 public:
  /// `hooks`: they outlive it; or none.
  Membership(Lane lane, std::size_t index, std::shared_ptr<InterpreterGroup> group, const WorkerHooks* hooks)
      : lane_(lane), index_(index), hooks_(hooks), group_(std::move(group)) {}
  Membership(const Membership&) = delete;
  Membership& operator=(const Membership&) = delete;

  /// Takes over a state of this thread in the group's interpreter, detached.
  void adopt(python::ThreadState state) noexcept { state_ = std::move(state); }
  /// Attaches; before that it creates or joins the interpreter, and after it sets up what has to be and
  /// runs the start hooks, where that has not been done. A failure leaves the thread detached, and the next
  /// call tries again.
  Failure enter() noexcept;
  void attach() noexcept { state_.attach(); }
  void detach() noexcept { state_.detach(); }
  /// Does the steps that have come to the journals; attached. A failure leaves the thread detached.
  Failure catch_up() { return group_->catch_up(state_); }
  /// Detached: the stop hooks, and InterpreterGroup::leave. False: the interpreter was left standing.
  bool leave(std::chrono::steady_clock::time_point deadline, Logger& log) noexcept;

  /// Whether the thread has a state in it.
  [[nodiscard]] bool inside() const noexcept { return static_cast<bool>(state_); }
  [[nodiscard]] python::ThreadState& state() noexcept { return state_; }
  [[nodiscard]] InterpreterGroup& group() const noexcept { return *group_; }
  /// What tasks see of it, once the interpreter exists.
  [[nodiscard]] Worker view() const noexcept;

 private:
  const Lane lane_;
  const std::size_t index_;
  const WorkerHooks* const hooks_;
  const std::shared_ptr<InterpreterGroup> group_;
  python::ThreadState state_;
  bool started_ = false;  // the start hooks have run
};

}  // namespace interpool::detail
