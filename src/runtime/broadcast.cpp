#include "runtime/broadcast.h"

#include "python/call.h"
#include "runtime/worker_access.h"

#include <memory>

namespace interpool::detail {

void Broadcast::expect(std::int64_t interpreter) {
  const MutexLock lock(mutex_);
  outcomes_.try_emplace(interpreter);
}

BroadcastOutcome Broadcast::call(InterpreterHandle& interpreter) const {
  BroadcastOutcome outcome;
  try {
    outcome = call_(interpreter);
  } catch (...) {
    outcome.failure = current_failure({.task = name_, .interpreter = interpreter.id()});
  }
  return outcome;
}

void Broadcast::note(const BroadcastOutcome& outcome) {
  if (outcome.failure) failed_ = true;
}

Failure Broadcast::apply(InterpreterHandle& interpreter) {
  bool expected = false;
  {
    const MutexLock lock(mutex_);
    expected = outcomes_.contains(interpreter.id());
    if (!expected && failed_) return nullptr;
  }
  BroadcastOutcome outcome = call(interpreter);
  if (!expected) return outcome.failure;
  const MutexLock lock(mutex_);
  note(outcome);
  outcomes_[interpreter.id()] = std::move(outcome);
  return nullptr;
}

BroadcastOutcome Broadcast::take(InterpreterHandle& interpreter) {
  {
    const MutexLock lock(mutex_);
    if (const auto found = outcomes_.find(interpreter.id()); found != outcomes_.end()) {
      return std::move(outcomes_.extract(found).mapped());
    }
  }
  constexpr std::int64_t kMain = 0;
  if (interpreter.id() == kMain) {
    BroadcastOutcome outcome = call(interpreter);
    const MutexLock lock(mutex_);
    note(outcome);
    return outcome;
  }
  return {.failure = std::make_shared<const WorkerError>(
              "the interpreter was replaced before it could answer",
              ErrorContext{.task = name_, .interpreter = interpreter.id()}),
          .value = nullptr};
}

Failure call_in(InterpreterHandle& interpreter, const FunctionEntry& function, EncodeThunk encode,
                const void* args, DecodeThunk decode, void* storage) noexcept {
  return python::call(
      interpreter, function, [&] { return function.name; },
      [] { return std::shared_ptr<python::CallbackGate>(); }, encode, args, decode, storage);
}

BroadcastOutcome take_outcome(Broadcast& broadcast, Worker& worker) {
  return broadcast.take(WorkerAccess::interpreter(worker));
}

const std::string& name_of(const Broadcast& broadcast) noexcept { return broadcast.name(); }

}  // namespace interpool::detail
