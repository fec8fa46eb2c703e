// AttachedThread: Python on a thread of the host's own, without a queue.
#pragma once

#include <interpool/convert.h>
#include <interpool/detail/api.h>
#include <interpool/detail/call.h>
#include <interpool/detail/function_ref.h>
#include <interpool/worker.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace interpool {

namespace detail {

class AttachedWorker;

INTERPOOL_API void attached_call(AttachedWorker& worker, const FunctionEntry& function, EncodeThunk encode,
                                 const void* args, DecodeThunk decode, void* storage);
INTERPOOL_API void attached_run(AttachedWorker& worker, FunctionRef<void(Worker&)> work);
INTERPOOL_API const FunctionEntry& function_entry(AttachedWorker& worker, std::string_view name);

}  // namespace detail

template <class Signature>
class AttachedFunction;

/// The calling thread as a worker, with an interpreter of its own; made by SubinterpreterExecutor::attach.
/// For a thread that needs the result of each call before it goes on: a call takes its GIL, runs and gives
/// the GIL back, with no queue and no other thread in between. Between calls the thread holds nothing.
///
/// Calls count among the executor's tasks: as accepted, completed or failed; a drain waits for the one under
/// way, and stop() gives it up at its timeout, which the thread does not notice. Once the executor is closed
/// they throw ShutdownError.
///
/// Inside a call the same thread may call again, which then is a part of the first one. A GIL of another
/// interpreter that the thread holds is released during a call. Whatever blocks in a call blocks the thread.
///
/// Thread safety: for the thread that attached alone; elsewhere its functions throw UsageError. It may be
/// moved and destroyed anywhere.
///
/// On such a thread PyGILState_Ensure, which extension modules and other embedders may use, no longer finds
/// the main interpreter but this one, also between calls: do not attach a thread that works with another
/// Python as well.
///
/// Destruction does nothing: the interpreter stays for the thread's next attach(). It ends at release(), when
/// the thread ends, or in a stop() of the executor on this very thread. Its end waits for the threads of
/// `threading` that calls have started there, as Python's own end does, however long they take; for other
/// threads in it, for the executor's stop_timeout. It keeps what it needs of the executor and the Runtime
/// alive; but what its stop hooks use of the host has to live as long.
class INTERPOOL_API AttachedThread {
 public:
  /// Calls "module:qualified.name" and returns what it returns, or throws its error. Arguments are converted
  /// where they are, without a copy of their own.
  template <class R, class... Args>
  R call(std::string_view function, Args&&... args) {
    return detail::call_through<R>(
        [&](auto... rest) {
          detail::attached_call(behind(), detail::function_entry(behind(), function), rest...);
        },
        std::forward<Args>(args)...);
  }

  /// A Python function with a C++ signature, to call often: the name is looked up once.
  template <class Signature>
  [[nodiscard]] AttachedFunction<Signature> function(std::string_view name) {
    return AttachedFunction<Signature>(worker_, detail::function_entry(behind(), name));
  }

  /// Runs a callable with the interpreter's Worker, its GIL held, and returns what it returns: several calls
  /// for one taking of the GIL. What it throws comes out as it is, and counts as failed.
  template <class F>
  std::invoke_result_t<F&, Worker&> run(F&& work) {
    using R = std::invoke_result_t<F&, Worker&>;
    static_assert(!std::is_reference_v<R>, "interpool: run() returns a value, not a reference");
    if constexpr (std::is_void_v<R>) {
      detail::attached_run(behind(), [&](Worker& worker) { work(worker); });
    } else {
      std::optional<R> result;
      detail::attached_run(behind(), [&](Worker& worker) { result.emplace(work(worker)); });
      return std::move(*result);
    }
  }

  /// Ends the interpreter, as said above. Afterwards nothing can be called through
  /// this or another handle of the same attachment; attach() makes a new one. Throws UsageError inside a
  /// call, and WorkerError if threads were left in it after the executor's stop_timeout: it stays then.
  void release();

 private:
  friend class SubinterpreterExecutor;
  explicit AttachedThread(std::shared_ptr<detail::AttachedWorker> worker) noexcept
      : worker_(std::move(worker)) {}
  /// Throws UsageError for one that was moved from.
  [[nodiscard]] detail::AttachedWorker& behind() const;

  std::shared_ptr<detail::AttachedWorker> worker_;
};

/// A Python function with a C++ signature, called on the thread that is attached; see AttachedThread::call.
/// Made by AttachedThread::function, and used on the same thread. Copies are cheap; it may outlive the handle
/// it was made by.
template <class R, class... Args>
class AttachedFunction<R(Args...)> {
 public:
  /// Calls it, and returns what it returns or throws its error.
  R operator()(const std::remove_cvref_t<Args>&... args) const {
    return detail::call_through<R>([&](auto... rest) { detail::attached_call(*worker_, *entry_, rest...); },
                                   args...);
  }
  /// "module:qualified.name"
  [[nodiscard]] const std::string& name() const noexcept { return entry_->name; }

 private:
  friend class AttachedThread;
  AttachedFunction(std::shared_ptr<detail::AttachedWorker> worker,
                   const detail::FunctionEntry& entry) noexcept
      : worker_(std::move(worker)), entry_(&entry) {
    (detail::require_encodable<std::remove_cvref_t<Args>>(), ...);
    detail::require_decodable<R>();
  }

  std::shared_ptr<detail::AttachedWorker> worker_;
  const detail::FunctionEntry* entry_;
};

}  // namespace interpool
