// InterpreterGroup: one interpreter and the worker threads that share it.
#pragma once

#include "base/mutex.h"
#include "interpool/executor.h"
#include "python/interpreter.h"
#include "python/memory.h"
#include "python/module_table.h"
#include "runtime/journal.h"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
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
  python::MemoryCounts* memory = nullptr;  // null: memory is not counted; constant once Python is set up
};

/// How many interpreters have been created in a place, and how long the last one took. Thread-safe; written
/// by one group at a time. relaxed: to be looked at.
class InterpreterBirths {
 public:
  /// The new one's number.
  std::uint64_t add(std::chrono::nanoseconds took) noexcept {
    took_.store(took.count(), std::memory_order_relaxed);
    return count_.fetch_add(1, std::memory_order_relaxed) + 1;
  }
  [[nodiscard]] std::uint64_t count() const noexcept { return count_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::chrono::nanoseconds took() const noexcept {
    return std::chrono::nanoseconds(took_.load(std::memory_order_relaxed));
  }

 private:
  std::atomic<std::uint64_t> count_ = 0;
  std::atomic<std::chrono::nanoseconds::rep> took_ = 0;
};

/// The interpreter's life: created by the first thread of the group that needs it, set up by one thread
/// at a time, ended by the thread that created it after all others have left. Thread-safe.
class InterpreterGroup {
 public:
  using Journals = std::vector<std::shared_ptr<const Journal>>;

  struct Setup {
    bool shared = false;  // by more than one thread
    std::size_t place = InterpreterHandle::kNoPlace;
    // Of it and of those that it replaces.
    std::shared_ptr<InterpreterBirths> births = std::make_shared<InterpreterBirths>();
  };
  InterpreterGroup(Journals journals, ProcessState& process, const Setup& setup);
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

  /// Another interpreter is to take its place: whoever is in it leaves before its next task, and nobody
  /// joins.
  void retire() noexcept INTERPOOL_EXCLUDES(mutex_);
  /// relaxed: who does not see it yet does so at its next task, or once it has been woken.
  [[nodiscard]] bool retired() const noexcept { return retired_.load(std::memory_order_relaxed); }
  /// Whether the calling thread, which is inside, has created the interpreter, and so is to end it.
  [[nodiscard]] bool created_here() const INTERPOOL_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    return creator_ == std::this_thread::get_id();
  }
  /// Whether there are other workers inside than the calling one.
  [[nodiscard]] bool others_inside() const INTERPOOL_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    return threads_ > 1;
  }
  /// After each task, attached: whether the interpreter has served its time.
  bool worn_out(const RecycleOptions& limits) noexcept {
    ++tasks_;
    return (limits.after_tasks != 0 && tasks_ >= limits.after_tasks) ||
           (limits.after_bytes != 0 && process_.memory->bytes(handle_->id()) - bytes_at_start_ >
                                           static_cast<std::int64_t>(limits.after_bytes));
  }

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
  /// Its number among those of its place, from 1; 0: there has been none. relaxed: to be looked at.
  [[nodiscard]] std::uint64_t generation() const noexcept {
    return generation_.load(std::memory_order_relaxed);
  }
  /// How long its creation took; of one that exists.
  [[nodiscard]] std::chrono::nanoseconds start_time() const noexcept {
    return std::chrono::nanoseconds(start_time_.load(std::memory_order_relaxed));
  }
  [[nodiscard]] const InterpreterBirths& births() const noexcept { return *setup_.births; }
  /// Of an interpreter that exists; constant from its creation to its end.
  [[nodiscard]] InterpreterHandle& handle() const noexcept { return *handle_; }

 private:
  Failure create_or_join(python::ThreadState& state) INTERPOOL_EXCLUDES(mutex_);
  Failure set_up(python::ThreadState& state) INTERPOOL_EXCLUDES(mutex_);
  [[nodiscard]] std::size_t journal_size() const noexcept;

  const Journals journals_;
  ProcessState& process_;
  const Setup setup_;

  const Journal* growing_ = nullptr;      // the last of journals_: the others are complete, …
  const std::size_t constant_steps_ = 0;  // … and have as many steps

  mutable Mutex mutex_;
  CondVar changed_;
  bool closing_ INTERPOOL_GUARDED_BY(mutex_) = false;  // its creator is about to end it
  bool busy_ INTERPOOL_GUARDED_BY(mutex_) = false;     // a thread creates the interpreter, or sets it up
  std::thread::id creator_ INTERPOOL_GUARDED_BY(mutex_);
  std::size_t threads_ INTERPOOL_GUARDED_BY(mutex_) = 0;             // with a thread state in it
  std::vector<std::size_t> positions_ INTERPOOL_GUARDED_BY(mutex_);  // steps done, per journal
  std::atomic<std::size_t> steps_done_ = 0;                          // their sum; written under mutex_
  std::atomic<bool> exists_ = false;                                 // relaxed: to be looked at
  std::atomic<bool> retired_ = false;                                // written under mutex_
  std::atomic<std::uint64_t> generation_ = 0;                        // written under mutex_
  std::atomic<std::chrono::nanoseconds::rep> start_time_ = 0;        // written under mutex_
  std::shared_ptr<InterpreterHandle> handle_;  // written once under mutex_, before threads_ leaves 0
  // Guarded by the interpreter's GIL.
  std::uint64_t tasks_ = 0;
  std::int64_t bytes_at_start_ = 0;
  bool set_up_once_ = false;
};

}  // namespace interpool::detail
