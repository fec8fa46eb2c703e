// InterpreterPlace: where tasks for an interpreter go.
#pragma once

#include "base/mutex.h"
#include "base/parker.h"
#include "runtime/interpreter_group.h"
#include "runtime/task_queue.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace interpool::detail {

/// What stays when an interpreter does not exist yet, or has ended: the queue of the tasks that are addressed
/// to it, and the workers that run them. Thread-safe.
class InterpreterPlace {
 public:
  explicit InterpreterPlace(std::shared_ptr<InterpreterGroup> group) : group_(std::move(group)) {}
  InterpreterPlace(const InterpreterPlace&) = delete;
  InterpreterPlace& operator=(const InterpreterPlace&) = delete;

  /// The tasks that are addressed to the interpreter.
  [[nodiscard]] TaskQueue& queue() noexcept { return queue_; }
  /// The threads that run them meet in it.
  [[nodiscard]] const std::shared_ptr<InterpreterGroup>& group() const noexcept { return group_; }
  /// Before it is used: a thread of its, to be woken for chores.
  void add_thread(Parker& parker) { parkers_.push_back(&parker); }

  /// Has a worker drop an object that handles no longer refer to, if its interpreter is still there.
  void drop_later(std::int64_t interpreter, python::ObjectTable::Id object) noexcept
      INTERPOOL_EXCLUDES(mutex_);
  /// Whether a worker has something to do besides tasks. relaxed: who is woken for it sees it.
  [[nodiscard]] bool has_chores() const noexcept { return has_chores_.load(std::memory_order_relaxed); }
  /// Does it, attached to that interpreter.
  void do_chores(InterpreterHandle& interpreter) noexcept INTERPOOL_EXCLUDES(mutex_);

 private:
  TaskQueue queue_;
  const std::shared_ptr<InterpreterGroup> group_;
  std::vector<Parker*> parkers_;  // constant once the place is used

  struct Dropped {
    std::int64_t interpreter;
    python::ObjectTable::Id object;
  };
  Mutex mutex_;
  std::vector<Dropped> dropped_ INTERPOOL_GUARDED_BY(mutex_);
  std::atomic<bool> has_chores_ = false;  // written under mutex_
};

}  // namespace interpool::detail
