// Broadcast: one call in every interpreter of an executor.
#pragma once

#include "base/mutex.h"
#include "interpool/detail/broadcast.h"
#include "python/interpreter.h"

#include <cstddef>
#include <string>
#include <unordered_map>
#include <utility>

namespace interpool::detail {

/// A step of the executor's journal. Each interpreter that is there makes the call between two tasks, before
/// any task that it begins later; what it came to is kept until a task picks it up, as a part of the
/// broadcast's future. Each that comes later makes it while it is set up, unless it has failed in one of
/// those. Thread-safe.
class Broadcast {
 public:
  Broadcast(std::string name, BroadcastCall call) : name_(std::move(name)), call_(std::move(call)) {}
  Broadcast(const Broadcast&) = delete;
  Broadcast& operator=(const Broadcast&) = delete;

  /// Before it is a step: somebody will ask what became of it in the interpreter at that place, or in the one
  /// that replaces it.
  void expect(std::size_t place) INTERPOOL_EXCLUDES(mutex_);
  /// The step, under the interpreter's GIL. Not null only where nobody will ask: there no task can run
  /// without it. What has failed elsewhere is not tried there.
  Failure apply(InterpreterHandle& interpreter) INTERPOOL_EXCLUDES(mutex_);
  /// What became of it there, once. In the main interpreter, which has no journal of the executor, the call
  /// is made now.
  BroadcastOutcome take(InterpreterHandle& interpreter) INTERPOOL_EXCLUDES(mutex_);

  [[nodiscard]] const std::string& name() const noexcept { return name_; }

 private:
  BroadcastOutcome call(InterpreterHandle& interpreter) const INTERPOOL_EXCLUDES(mutex_);
  void note(const BroadcastOutcome& outcome) INTERPOOL_REQUIRES(mutex_);

  const std::string name_;
  const BroadcastCall call_;

  Mutex mutex_;
  bool failed_ INTERPOOL_GUARDED_BY(mutex_) = false;
  struct Expected {
    bool made = false;  // the call
    BroadcastOutcome outcome;
  };
  std::unordered_map<std::size_t, Expected> outcomes_ INTERPOOL_GUARDED_BY(mutex_);
};

}  // namespace interpool::detail
