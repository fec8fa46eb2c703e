// Observer: is told what happens to tasks and interpreters, for tracing.
#pragma once

#include <interpool/detail/api.h>
#include <interpool/stats.h>
#include <interpool/worker.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace interpool {

/// One task, or one call on an attached thread. The texts live as long as the call that has been given it.
struct TaskEvent {
  using Time = std::chrono::steady_clock::time_point;

  /// Its number in the executor, from 1 in the order of submission.
  std::uint64_t task = 0;
  /// ExecutorOptions::name.
  std::string_view executor = {};
  /// As in errors: CallOptions::name, else that of the function; "" for a callable.
  std::string_view name = {};
  /// Where it was accepted.
  Lane lane = Lane::kPooled;
  /// "pinned-0", say; "" while it has none, and where it never had one.
  std::string_view worker = {};
  /// When it was submitted; before a wait for room in the queue.
  Time submitted = {};
  /// When it started; none if it has not, and never did.
  std::optional<Time> started = {};
  /// When it settled, and how; none before that.
  std::optional<Time> settled = {};
  std::optional<Outcome> outcome = {};
};

/// A sub-interpreter that has been created, or has ended.
struct InterpreterEvent {
  std::string_view executor = {};
  /// The worker whose thread has created it; other pooled threads may share it.
  std::string_view worker = {};
  Lane lane = Lane::kPooled;
  /// CPython's id.
  std::int64_t interpreter = 0;
  /// As in InterpreterStats.
  std::uint64_t generation = 0;
  std::chrono::nanoseconds start_time{0};
  /// When this happened.
  std::chrono::steady_clock::time_point time = {};
};

/// Derive from it, override what you want to hear of, and give it to ExecutorOptions::observer. The events of
/// a task have all that a span of OpenTelemetry or of a Chrome trace needs; task_settled() alone has the
/// whole life of it.
///
/// Threads: each is called on the thread where the thing happens, several at once: workers, submitters, who
/// cancels, the timekeeper, attached threads. Of one task, too, events may be told at the same time or in
/// another order than they happened, as the submitter may be slower than the worker: go by `task` and the
/// times. Every task that was accepted is told as settled, once, before drain() or stop() sees it settled; a
/// call on an attached thread perhaps a moment after that. Its future may be ready a little earlier. Where
/// one was never started, task_started() is not called. Of tasks that were refused nothing is told.
///
/// Locks: none of the library's is held. A worker holds the GIL of its interpreter, because who gave it up
/// would wait for it with a task in hand; others may hold one of their own. So do not wait here for whoever
/// may need a GIL: write down what happened, under a lock that is held for moments only. try_submit(),
/// counts() and stats() may be called; what waits, as get(), submit() or stop(), may not.
///
/// Errors: the functions are noexcept; an exception ends the process.
///
/// Lifetime: shared with the executor, and with a thread that had to be given up.
class INTERPOOL_API Observer {
 public:
  Observer() = default;
  virtual ~Observer();
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;

  /// It is in its queue, or runs by now.
  virtual void task_accepted(const TaskEvent& task) noexcept;
  /// Its work is about to run, on the calling thread.
  virtual void task_started(const TaskEvent& task) noexcept;
  /// It has its outcome; see above for when.
  virtual void task_settled(const TaskEvent& task) noexcept;
  /// It exists; what is imported into it before its first task may still be missing.
  virtual void interpreter_started(const InterpreterEvent& interpreter) noexcept;
  /// It is gone: with its executor or its thread, or since another one replaces it.
  virtual void interpreter_ended(const InterpreterEvent& interpreter) noexcept;
};

}  // namespace interpool
