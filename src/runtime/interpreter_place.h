// InterpreterPlace: where tasks for an interpreter go.
#pragma once

#include "base/mutex.h"
#include "base/parker.h"
#include "runtime/interpreter_group.h"
#include "runtime/task_queue.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

namespace interpool::detail {

/// What stays when an interpreter does not exist yet, or has ended: the queue of the tasks that are addressed
/// to it, and the workers that run them. Thread-safe.
class InterpreterPlace {
 public:
  using Make = std::function<std::shared_ptr<InterpreterGroup>()>;

  /// For interpreters that follow one another.
  explicit InterpreterPlace(Make make) : make_(std::move(make)), group_(make_()) {}
  /// For one that nothing replaces.
  explicit InterpreterPlace(std::shared_ptr<InterpreterGroup> group) : group_(std::move(group)) {}
  InterpreterPlace(const InterpreterPlace&) = delete;
  InterpreterPlace& operator=(const InterpreterPlace&) = delete;

  /// The tasks that are addressed to the interpreter.
  [[nodiscard]] TaskQueue& queue() noexcept { return queue_; }
  /// Where the threads that run them meet; the newest, if it has been replaced.
  [[nodiscard]] std::shared_ptr<InterpreterGroup> group() const noexcept INTERPOOL_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    return group_;
  }
  /// Has another interpreter take the place of this one, which its threads leave, unless one before it still
  /// stands, or there is no memory. Whether it is retired.
  bool replace(InterpreterGroup& worn) noexcept INTERPOOL_EXCLUDES(mutex_);
  /// Whether the interpreter that new tasks would run in has been created.
  [[nodiscard]] bool exists() const noexcept INTERPOOL_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    return group_->exists();
  }
  /// How many interpreters are here that have been created and not ended.
  [[nodiscard]] std::size_t standing() const noexcept INTERPOOL_EXCLUDES(mutex_);
  /// Has the threads look whether there is something to do.
  void wake() noexcept {
    for (Parker* parker : parkers_) parker->unpark();
  }
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
  std::vector<Parker*> parkers_;  // constant once the place is used
  const Make make_;               // or none

  struct Dropped {
    std::int64_t interpreter;
    python::ObjectTable::Id object;
  };
  mutable Mutex mutex_;
  std::shared_ptr<InterpreterGroup> group_ INTERPOOL_GUARDED_BY(mutex_);
  std::shared_ptr<InterpreterGroup> replaced_ INTERPOOL_GUARDED_BY(mutex_);  // the one before it
  std::vector<Dropped> dropped_ INTERPOOL_GUARDED_BY(mutex_);
  std::atomic<bool> has_chores_ = false;  // written under mutex_
};

}  // namespace interpool::detail
