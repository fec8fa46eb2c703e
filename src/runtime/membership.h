// Membership: a worker in its interpreter.
#pragma once

#include "base/log.h"
#include "interpool/observer.h"
#include "interpool/worker.h"
#include "python/thread_state.h"
#include "runtime/interpreter_place.h"

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>

namespace interpool {
struct RecycleOptions;
struct WorkerHooks;
}  // namespace interpool

namespace interpool::detail {

/// Who is told of interpreters that a worker creates and ends.
struct InterpreterTeller {
  Observer* observer = nullptr;  // or nobody
  const std::string* executor = nullptr;
};

/// From when to when a thread has waited for a GIL.
struct GilWait {
  std::chrono::steady_clock::time_point begin;
  std::chrono::steady_clock::time_point end;
};

/// One worker's part in an interpreter, and in the ones that replace it: its thread state, and the hooks that
/// run once it has one and before it gives it up. For the worker's own thread.
class Membership {
 public:
  struct Setup {
    Lane lane = Lane::kPooled;
    std::size_t index = 0;
    // They outlive it; null: none, and never.
    const WorkerHooks* hooks = nullptr;
    const RecycleOptions* recycle = nullptr;
    Logger* log = nullptr;
    InterpreterTeller teller = {};  // what it refers to, too
  };

  Membership(const Setup& setup, std::shared_ptr<InterpreterPlace> place)
      : setup_(setup), place_(std::move(place)) {}
  Membership(const Membership&) = delete;
  Membership& operator=(const Membership&) = delete;

  /// Takes over a state of this thread in the place's interpreter, detached.
  void adopt(python::ThreadState state) noexcept {
    group_ = place_->group();
    state_ = std::move(state);
  }
  struct Entry {
    Failure failure = nullptr;
    bool replaced = false;
  };
  /// Attaches; before that it creates or joins the interpreter, and after it sets up what has to be and
  /// runs the start hooks, where that has not been done. A failure leaves the thread detached, and the next
  /// call tries again. So does an interpreter that has been replaced by the time that the thread has its GIL:
  /// it has to move() first, which may take long. `wait`, if given, is told when it began and when it had the
  /// GIL.
  Entry enter(GilWait* wait = nullptr) noexcept;
  /// The same where there is nothing to do but to attach, which is what nearly every call finds; else false,
  /// detached.
  [[nodiscard]] bool enter_again() noexcept {
    if (!ready_) return false;
    state_.attach();
    if (!group_->behind() && !group_->retired()) return true;
    state_.detach();
    return false;
  }
  /// Whether enter() has nothing to do but to wait for the GIL, as far as can be seen.
  [[nodiscard]] bool only_attaches() const noexcept {
    return ready_ && !group_->behind() && !group_->retired();
  }
  void attach() noexcept { state_.attach(); }
  void detach() noexcept { state_.detach(); }
  /// Does the steps that have come to the journals; attached. A failure leaves the thread detached.
  Failure catch_up() { return group_->catch_up(state_); }

  /// After each task, attached: whether it has to move() before the next one.
  [[nodiscard]] bool due() noexcept {
    if (setup_.recycle == nullptr) return false;
    if (group_->worn_out(*setup_.recycle) && !place_->replace(*group_)) left_.stands = false;  // try again
    return has_to_move();
  }
  /// Whether there is something to do about an interpreter that has been replaced.
  [[nodiscard]] bool has_to_move() const noexcept {
    return (inside() && group_->retired()) ||
           (left_.group != nullptr && !left_.stands && !left_.group->others_inside());
  }
  /// Does it; detached. Leaves the interpreter, with the stop hooks before that; it ends, or its creator is
  /// told to end it.
  void move() noexcept;
  /// After a task, attached: detaches, and moves if it has to.
  void rest() noexcept {
    const bool moves = due();
    detach();
    if (moves) move();
  }

  /// Detached, at the end: the stop hooks, and InterpreterGroup::leave. False: an interpreter was left
  /// standing.
  bool leave(std::chrono::steady_clock::time_point deadline) noexcept;

  /// Whether the thread has a state in an interpreter.
  [[nodiscard]] bool inside() const noexcept { return static_cast<bool>(state_); }
  [[nodiscard]] python::ThreadState& state() noexcept { return state_; }
  /// For any thread.
  [[nodiscard]] const InterpreterPlace& place() const noexcept { return *place_; }
  /// Once it has been entered.
  [[nodiscard]] InterpreterGroup& group() const noexcept { return *group_; }
  /// The interpreter that the thread is in or that it is ending, or null if it has no part in any.
  [[nodiscard]] InterpreterHandle* interpreter() const noexcept {
    if (ending_ != nullptr) return &ending_->handle();
    return inside() ? &group_->handle() : nullptr;
  }
  /// Whether an interpreter is ending, whose last Python code is run meanwhile.
  [[nodiscard]] bool ending() const noexcept { return ending_ != nullptr; }
  /// What tasks see of it, once it has been entered.
  [[nodiscard]] Worker view() const noexcept;

 private:
  void run_stop_hooks() noexcept;
  /// Whether what left_ refers to has ended, if anything.
  bool end_left(std::chrono::steady_clock::time_point deadline) noexcept;
  // For the observer, of an interpreter that this thread has created.
  void tell_started() const noexcept;
  /// InterpreterGroup::leave.
  bool leave(InterpreterGroup& group, python::ThreadState& state,
             std::chrono::steady_clock::time_point deadline);
  /// `worker` is this one's id.
  [[nodiscard]] InterpreterEvent event(const InterpreterGroup& group,
                                       const std::string& worker) const noexcept;

  const Setup setup_;
  const std::shared_ptr<InterpreterPlace> place_;
  std::shared_ptr<InterpreterGroup> group_;  // null: none has been entered, or it has been left
  python::ThreadState state_;
  bool ready_ = false;    // it has been entered
  bool started_ = false;  // the start hooks have run
  /// An interpreter that has been replaced, which this thread has created and so will end.
  struct Left {
    std::shared_ptr<InterpreterGroup> group = nullptr;
    python::ThreadState state = {};
    bool tried = false;   // to end it
    bool stands = false;  // for now: Python threads are in it that did not end in time
  };
  Left left_;
  InterpreterGroup* ending_ = nullptr;  // whose interpreter this thread is ending now, or none
};

}  // namespace interpool::detail
