#include "runtime/broadcast.h"

#include "python/call.h"
#include "runtime/worker_access.h"

#include <memory>

namespace interpool::detail {

void Broadcast::expect(std::size_t place) {
  const MutexLock lock(mutex_);
  outcomes_.try_emplace(place);
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
  // What an interpreter has answered that was replaced is as good as the answer of the one before us.
  const auto waiting = [&]() INTERPOOL_REQUIRES(mutex_) -> Expected* {
    const auto found = outcomes_.find(interpreter.place());
    return found == outcomes_.end() || found->second.made ? nullptr : &found->second;
  };
  {
    const MutexLock lock(mutex_);
    if (waiting() == nullptr && failed_) return nullptr;
  }
  BroadcastOutcome outcome = call(interpreter);
  const MutexLock lock(mutex_);
  Expected* expected = waiting();
  if (expected == nullptr) return outcome.failure;
  note(outcome);
  *expected = {.made = true, .outcome = std::move(outcome)};
  return nullptr;
}

BroadcastOutcome Broadcast::take(InterpreterHandle& interpreter) {
  {
    const MutexLock lock(mutex_);
    if (const auto found = outcomes_.find(interpreter.place()); found != outcomes_.end()) {
      return std::move(outcomes_.extract(found).mapped().outcome);
    }
  }
  // The main interpreter.
  BroadcastOutcome outcome = call(interpreter);
  const MutexLock lock(mutex_);
  note(outcome);
  return outcome;
}

Failure call_in(InterpreterHandle& interpreter, const FunctionEntry& function, EncodeThunk encode,
                const void* args, DecodeThunk decode, void* storage) noexcept {
  return python::call(
      interpreter, function, [&] { return function.name; }, [] { return current_gate(); }, encode, args,
      decode, storage);
}

BroadcastOutcome take_outcome(Broadcast& broadcast, Worker& worker) {
  return broadcast.take(WorkerAccess::interpreter(worker));
}

const std::string& name_of(const Broadcast& broadcast) noexcept { return broadcast.name(); }

}  // namespace interpool::detail
