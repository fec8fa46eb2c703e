// InterpreterGroup: one interpreter and the worker threads that share it.
#pragma once

#include "base/mutex.h"
#include "python/interpreter.h"
#include "python/module_table.h"
#include "runtime/journal.h"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace interpool::detail {

/// What the interpreters of the process share. Thread-safe; outlives them.
struct ProcessState {
  FunctionTable functions;
  const std::shared_ptr<ModuleTable> modules = std::make_shared<ModuleTable>();
  Mutex creation;                                  // see python::create_interpreter
  std::atomic<std::size_t> live_interpreters = 0;  // sub-interpreters that exist; relaxed: to be looked at
};

/// The interpreter's life: created by the first thread of the group that needs it, set up by one thread
/// at a time, ended by the thread that created it after all others have left. Thread-safe.
class InterpreterGroup {
 public:
  using Journals = std::vector<std::shared_ptr<const Journal>>;

  /// `shared`: by more than one thread.
  InterpreterGroup(Journals journals, ProcessState& process, bool shared);
  /// Around an interpreter that exists, and that the group neither creates nor ends: the main one.
  InterpreterGroup(std::shared_ptr<InterpreterHandle> main, ProcessState& process)
      : process_(process), handle_(std::move(main)) {}

  /// Attaches the calling thread, with a state made in `state` if it is empty; creates the interpreter
  /// and replays the journals where that has not been done. On failure (not null) the thread is
  /// detached, and the next call tries again.
  Failure enter(python::ThreadState& state) INTERPOOL_EXCLUDES(mutex_);
  /// The thread gives up its state, for good. The creator waits until the others have left, however long
  /// that takes, and ends the interpreter. False: it has been left standing, because at the deadline there
  /// were Python threads in it.
  bool leave(python::ThreadState& state, std::chrono::steady_clock::time_point deadline)
      INTERPOOL_EXCLUDES(mutex_);

  /// Whether steps have come since the last enter() or catch_up(). relaxed: who is to see a step was told by
  /// something else, a task's queue say, that it was appended.
  [[nodiscard]] bool behind() const noexcept {
    return growing_ != nullptr &&
           constant_steps_ + growing_->size() > steps_done_.load(std::memory_order_relaxed);
  }
  /// Does those steps. The thread is attached; on failure (not null) it is detached.
  Failure catch_up(python::ThreadState& state) INTERPOOL_EXCLUDES(mutex_) {
    state.detach();
    return set_up(state);
  }

  /// Of the sub-interpreter that exists, if one does.
  [[nodiscard]] std::optional<std::int64_t> interpreter_id() INTERPOOL_EXCLUDES(mutex_);
  /// Whether there is a sub-interpreter: created, and not ended.
  [[nodiscard]] bool exists() const noexcept { return exists_.load(std::memory_order_relaxed); }
  /// Of an interpreter that exists; constant from its creation to its end.
  [[nodiscard]] InterpreterHandle& handle() const noexcept { return *handle_; }

 private:
  Failure create_or_join(python::ThreadState& state) INTERPOOL_EXCLUDES(mutex_);
  Failure set_up(python::ThreadState& state) INTERPOOL_EXCLUDES(mutex_);
  [[nodiscard]] std::size_t journal_size() const noexcept;

  const Journals journals_;
  ProcessState& process_;
  const bool shared_ = false;

  const Journal* growing_ = nullptr;      // the last of journals_: the others are complete, …
  const std::size_t constant_steps_ = 0;  // … and have as many steps

  Mutex mutex_;
  CondVar changed_;
  bool closing_ INTERPOOL_GUARDED_BY(mutex_) = false;  // its creator is about to end it
  bool busy_ INTERPOOL_GUARDED_BY(mutex_) = false;     // a thread creates the interpreter, or sets it up
  std::thread::id creator_ INTERPOOL_GUARDED_BY(mutex_);
  std::size_t threads_ INTERPOOL_GUARDED_BY(mutex_) = 0;             // with a thread state in it
  std::vector<std::size_t> positions_ INTERPOOL_GUARDED_BY(mutex_);  // steps done, per journal
  std::atomic<std::size_t> steps_done_ = 0;                          // their sum; written under mutex_
  std::atomic<bool> exists_ = false;                                 // relaxed: to be looked at
  std::shared_ptr<InterpreterHandle> handle_;  // written once under mutex_, before threads_ leaves 0
};

}  // namespace interpool::detail
