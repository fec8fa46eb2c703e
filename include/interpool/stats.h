// ExecutorStats: what an executor has done so far, and how long that took.
#pragma once

#include <interpool/detail/api.h>
#include <interpool/worker.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace interpool {

/// What became of a task.
enum class Outcome : std::uint8_t {
  kCompleted,  ///< It has a value.
  kFailed,     ///< An error of Python's, of a callable, of a conversion or of a worker.
  kCancelled,  ///< CancelledError; it never ran.
  kTimedOut,   ///< TimeoutError; it never ran.
  kAbandoned,  ///< AbandonedError, while it ran.
};

/// "completed", "failed", "cancelled", "timed_out" or "abandoned".
INTERPOOL_API const char* to_string(Outcome outcome) noexcept;

/// What became of the tasks an executor accepted, which includes continuations that it was to run.
struct TaskCounts {
  /// Queued since the executor was made. What was refused is not counted.
  std::uint64_t accepted = 0;
  /// Settled with a value.
  std::uint64_t completed = 0;
  /// Settled with an error of Python's, of a callable, of a conversion or of a worker.
  std::uint64_t failed = 0;
  /// Settled with CancelledError, never having run.
  std::uint64_t cancelled = 0;
  /// Settled with TimeoutError, never having run.
  std::uint64_t timed_out = 0;
  /// Settled with AbandonedError while they ran.
  std::uint64_t abandoned = 0;

  /// How many have settled. Equal to `accepted` once an executor has stopped.
  [[nodiscard]] std::uint64_t settled() const noexcept {
    return completed + failed + cancelled + timed_out + abandoned;
  }
};

/// Where the time of tasks went, as sums over all of them; wall time.
///
/// Counts are exact, but clocks cost about as much as a call does. So where tasks come quickly only some are
/// timed, up to one in 32, and each stands for those before it; where they come more than 32 µs apart, or a
/// call takes longer than that, all are.
struct TaskTimes {
  /// In queues, from their acceptance until they started or settled otherwise. Sampled. None for attached
  /// threads, which have no queue.
  std::chrono::nanoseconds waiting{0};
  /// With a worker that held its GIL and had tasks. Not sampled, but on attached threads. A task that is
  /// running counts up to now. It includes what the worker needs to take a task and to settle it, gaps
  /// between tasks of less than about a microsecond, and what Python and its threads do with the GIL in the
  /// middle of a task. Main lane: tasks of this executor alone.
  std::chrono::nanoseconds running{0};
  /// Of workers that had seen a task coming, for the GIL of their interpreter, which threads that share it,
  /// or Python's own threads, held. Where it is free, one in 32 times is measured. What a task waits for in
  /// the middle of Python code is not in it, nor is the creation of an interpreter.
  std::chrono::nanoseconds gil_wait{0};
};

/// One kind of worker, with the queues in front of it. Sums over all workers of that kind that there ever
/// were: those that have ended leave theirs behind.
struct LaneStats {
  Lane lane = Lane::kPooled;
  /// Of the tasks that came to this lane: pooled workers have those addressed to none, or the pinned ones if
  /// there are no pooled. On the main lane those of this executor alone. Of attached threads each call.
  TaskCounts tasks = {};
  /// Accepted, and neither running nor settled.
  std::uint64_t queued = 0;
  /// Running now.
  std::uint64_t running = 0;
  TaskTimes times = {};
};

/// One worker of the executor's own, or a thread that is attached to it. The main lane's belongs to the
/// Runtime and is none of them. A task that waits is no worker's yet, and those that were cancelled or ran
/// out of time in a queue have never had one: these are in LaneStats, and what waits for one interpreter in
/// InterpreterStats::queued.
struct WorkerStats {
  Lane lane = Lane::kPooled;
  /// Its number in the lane.
  std::size_t index = 0;
  /// "pinned-0", as Python code sees it.
  std::string id = {};
  /// The place of its interpreter in ExecutorStats::interpreters.
  std::size_t interpreter = 0;
  /// Tasks that this worker has settled, and those that were given up while it ran them.
  std::uint64_t completed = 0;
  std::uint64_t failed = 0;
  std::uint64_t abandoned = 0;
  /// Whether a task runs here now.
  bool running = false;
  /// Of the tasks that it took.
  TaskTimes times = {};
};

/// The place for one sub-interpreter: of a pinned worker, of the pooled threads that share it, or of a thread
/// that is attached.
struct InterpreterStats {
  Lane lane = Lane::kPooled;
  /// Its number in the lane: that of the worker, or k where pooled thread i belongs to interpreter i mod n.
  std::size_t index = 0;
  /// CPython's id; none before the first task and after the end.
  std::optional<std::int64_t> id = {};
  /// How many interpreters have been created here, the one that is there included.
  std::uint64_t generation = 0;
  /// How long it took CPython to create the last of them; what is imported into it afterwards is not counted.
  std::chrono::nanoseconds start_time{0};
  /// How many tasks wait for this interpreter in particular.
  std::uint64_t queued = 0;
  /// How many bytes the interpreter has from the system: of small objects by the arena (1 MiB), which goes
  /// back as a whole, and of larger blocks one by one. What extensions get from malloc() themselves is not
  /// seen. None without an interpreter, and where Python has other allocators than its usual ones, as a debug
  /// build has.
  std::optional<std::uint64_t> memory = {};
};

/// What SubinterpreterExecutor::stats returns: a plain value.
///
/// Taken while tasks run it is no picture of one moment: each number is right, but some are read a little
/// later than others. In each lane `accepted == queued + running + settled()`, unless a task was just
/// changing from one to another, which may make `queued` too small by those; and the lanes add up to `tasks`.
/// A task is counted as settled before its future is ready. Once all futures are ready, everything adds up
/// exactly.
struct ExecutorStats {
  /// ExecutorOptions::name.
  std::string executor = {};
  /// The same as SubinterpreterExecutor::counts: the sum of the lanes.
  TaskCounts tasks = {};
  /// kPinned, kPooled, kMain and kAttached, also those without a worker.
  std::vector<LaneStats> lanes = {};
  /// Pinned workers, pooled ones, threads that are attached now.
  std::vector<WorkerStats> workers = {};
  /// The same order.
  std::vector<InterpreterStats> interpreters = {};
};

/// The numbers in the text format of Prometheus, version 0.0.4: what a handler of `/metrics` answers, with
/// the content type `text/plain; version=0.0.4`. Times are in seconds, memory in bytes; the labels are
/// `executor`, `lane`, `worker`, `interpreter` and `outcome`. Several executors go into one text by one call;
/// give them different names, as no two series may have the same labels.
INTERPOOL_API std::string to_prometheus(std::span<const ExecutorStats> executors);
/// The same of one executor.
INTERPOOL_API std::string to_prometheus(const ExecutorStats& executor);

}  // namespace interpool
