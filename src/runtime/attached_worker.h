// AttachedWorker: a thread of the host that is a worker for itself.
#pragma once

#include "base/mutex.h"
#include "interpool/attached_thread.h"
#include "interpool/observer.h"
#include "runtime/call_gate.h"
#include "runtime/interpreter_place.h"
#include "runtime/membership.h"
#include "runtime/statistics.h"
#include "runtime/worker_thread.h"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

namespace interpool::detail {

class ExecutorCore;

/// What is behind an AttachedThread: an interpreter that its thread has created, enters for each call and
/// ends. Shared-owned by the thread (until it ends or releases it), by its handles, and by the executor while
/// the interpreter stands.
///
/// Its calls are the executor's work as tasks are: nothing is admitted after its close(), a drain waits for
/// what runs, and what does not end in time is given up.
class AttachedWorker {
 public:
  AttachedWorker(std::shared_ptr<ExecutorCore> core, std::size_t index,
                 std::shared_ptr<InterpreterPlace> place);
  ~AttachedWorker();
  AttachedWorker(const AttachedWorker&) = delete;
  AttachedWorker& operator=(const AttachedWorker&) = delete;

  /// The calling thread's for that executor, made if there is none; see SubinterpreterExecutor::attach.
  static std::shared_ptr<AttachedWorker> of_this_thread(const std::shared_ptr<ExecutorCore>& core);
  /// Whose call the calling thread is in, the innermost one; or null.
  static AttachedWorker* current() noexcept;
  /// Whether the calling thread is inside a call of that executor.
  static bool calling(const ExecutorCore& core) noexcept;

  // --- its own thread --------------------------------------------------------------------------

  void call(const FunctionEntry& function, EncodeThunk encode, const void* args, DecodeThunk decode,
            void* storage);
  void run(FunctionRef<void(Worker&)> work);
  /// Ends the interpreter, if that has not been done; false: it was left standing at the deadline. Throws
  /// UsageError inside a call and on another thread.
  bool release(std::chrono::steady_clock::time_point deadline);
  /// The same for a thread that ends, or stops the executor. False also on another thread, or inside a call.
  bool end(std::chrono::steady_clock::time_point deadline) noexcept;
  /// What its calls see of the interpreter, which stands.
  [[nodiscard]] Worker view() const noexcept { return membership_.view(); }
  /// Whether the thread is attached to the interpreter.
  [[nodiscard]] bool attached() const noexcept {
    const InterpreterHandle* interpreter = membership_.interpreter();
    return interpreter != nullptr && interpreter->attached();
  }
  [[nodiscard]] ExecutorCore& core() const noexcept { return *core_; }
  /// "attached-0"
  [[nodiscard]] const std::string& id() const noexcept { return id_; }
  /// The function's, of the call under way; "" for a callable, none while the interpreter ends.
  [[nodiscard]] std::optional<std::string_view> task_name() const noexcept;

  // --- the executor, on any thread -------------------------------------------------------------

  void close() noexcept { gate_.close(); }
  /// Whether nothing can be called through it any more.
  [[nodiscard]] bool closed() const noexcept { return gate_.closed(); }
  [[nodiscard]] bool wait_until_idle(std::chrono::steady_clock::time_point deadline) const noexcept {
    return gate_.wait_until_idle(deadline);
  }
  /// Gives a call under way up: it counts, and the observer is told. False if there is none.
  bool give_up() noexcept INTERPOOL_EXCLUDES(observed_mutex_);
  /// Of the call under way, or of the last one.
  [[nodiscard]] const std::string& call_name() const noexcept {
    return *name_.load(std::memory_order_acquire);  // pairs with Call
  }
  /// relaxed: a number, which the calls that it counts have published.
  [[nodiscard]] std::uint64_t accepted() const noexcept { return accepted_.load(std::memory_order_relaxed); }
  [[nodiscard]] const WorkerCounts& counts() const noexcept { return counts_; }
  [[nodiscard]] const CallTimes& times() const noexcept { return times_; }
  [[nodiscard]] bool busy() const noexcept { return gate_.busy(); }
  [[nodiscard]] std::size_t index() const noexcept { return index_; }
  [[nodiscard]] const InterpreterPlace& place() const noexcept { return membership_.place(); }

 private:
  class Frame;
  class Call;

  void require_own_thread() const;
  bool end_interpreter(std::chrono::steady_clock::time_point deadline) noexcept;
  /// Of the call under way.
  [[nodiscard]] TaskEvent event() const noexcept INTERPOOL_EXCLUDES(observed_mutex_);

  // Constant.
  const std::shared_ptr<ExecutorCore> core_;
  const std::string id_;
  const std::size_t index_;
  const std::thread::id owner_ = std::this_thread::get_id();

  // Self-synchronised.
  CallGate gate_;
  std::atomic<const std::string*> name_;  // release and acquire: the text behind it
  // Written by the thread only, relaxed: leaving the gate publishes them.
  std::atomic<std::uint64_t> accepted_ = 0;
  WorkerCounts counts_;
  CallTimes times_;
  // For the observer, of the call under way or of the last one.
  mutable Mutex observed_mutex_;
  std::uint64_t number_ INTERPOOL_GUARDED_BY(observed_mutex_) = 0;
  Clock::time_point called_ INTERPOOL_GUARDED_BY(observed_mutex_);

  // The thread's own.
  Sampler sampler_;
  Membership membership_;
  bool calling_ = false;  // in a call, or at the end
  bool ending_ = false;
  bool released_ = false;  // for good
};

}  // namespace interpool::detail
