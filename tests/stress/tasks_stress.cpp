// Very many tasks, from several threads over all lanes, with cancelled, failing and timed-out ones among
// them: each settles exactly once, with the value it should have, and the executor's accounts balance.
//
//   tasks_stress [--tasks N] [--seed N]
#include "support/runtime.h"
#include "support/sync.h"

#include <interpool/interpool.h>

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <iterator>
#include <memory>
#include <mutex>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#ifndef INTERPOOL_STRESS_TASKS
#define INTERPOOL_STRESS_TASKS 1000000
#endif

namespace interpool::test {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kThreads = 4;
constexpr std::uint64_t kPinned = 2;
/// The pool twice, each pinned worker, the main interpreter.
constexpr std::size_t kLanes = 5;
/// How many futures a thread leaves open before it looks at the oldest.
constexpr std::size_t kOpen = 200;

std::uint64_t option(std::string_view name, std::uint64_t otherwise) {
  const std::vector<std::string> args = testing::internal::GetArgvs();
  for (std::size_t i = 1; i + 1 < args.size(); ++i) {
    if (args[i] == name) return std::strtoull(args[i + 1].c_str(), nullptr, 10);
  }
  return otherwise;
}

/// What the program knows of one task.
struct Account {
  std::atomic<std::uint8_t> runs = 0;     // of its callable; calls of Python functions are not counted
  std::atomic<std::uint8_t> settled = 0;  // of its future
  std::uint8_t lane = 0;                  // among the Producer's; written before it is submitted
};

/// What the task must come to, unless it is cancelled or times out.
enum class Fate : std::uint8_t { kValue, kPythonError, kNativeError };

struct Tally {
  std::uint64_t completed = 0;
  std::uint64_t failed = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t timed_out = 0;
  std::uint64_t wrong = 0;  // values and errors that should have been others
  std::array<std::uint64_t, kLanes> values_by_get = {};
  std::array<TaskCounts, kLanes> by_lane = {};
  std::uint64_t refused = 0;  // submissions that found no room before the task's deadline; not accepted

  Tally& operator+=(const Tally& other) {
    completed += other.completed;
    failed += other.failed;
    cancelled += other.cancelled;
    timed_out += other.timed_out;
    wrong += other.wrong;
    for (std::size_t i = 0; i < kLanes; ++i) {
      values_by_get.at(i) += other.values_by_get.at(i);
      by_lane.at(i).accepted += other.by_lane.at(i).accepted;
      by_lane.at(i).completed += other.by_lane.at(i).completed;
      by_lane.at(i).failed += other.by_lane.at(i).failed;
      by_lane.at(i).cancelled += other.by_lane.at(i).cancelled;
      by_lane.at(i).timed_out += other.by_lane.at(i).timed_out;
    }
    refused += other.refused;
    return *this;
  }
};

/// A host's event loop: runs continuations when its thread comes to it.
class Loop final : public Executor {
 public:
  void execute(Work work) override {
    const std::lock_guard lock(mutex_);
    works_.push_back(std::move(work));
  }
  void run_all() {
    std::vector<Work> works;
    {
      const std::lock_guard lock(mutex_);
      works.swap(works_);
    }
    for (Work& work : works) work();
  }

 private:
  std::mutex mutex_;
  std::vector<Work> works_;
};

class Producer {
 public:
  Producer(SubinterpreterExecutor& pool, std::vector<Account>& accounts, std::size_t from, std::size_t to,
           std::uint64_t seed)
      : accounts_(accounts),
        from_(from),
        to_(to),
        random_(seed),
        lanes_{pool, pool, pool.pinned(0), pool.pinned(1), pool.main()} {
    for (const Submitter& lane : lanes_) {
      lane_abs_.push_back(lane.function<std::int64_t(std::int64_t)>("builtins:abs"));
      lane_int_.push_back(lane.function<std::int64_t(std::string)>("builtins:int"));
    }
  }

  void run() {
    for (std::size_t i = from_; i < to_; ++i) {
      submit_one(i);
      if (open_.size() > kOpen) look_at_oldest();
      if (i % 64 == 0) loop_.run_all();
    }
    while (!open_.empty()) look_at_oldest();
    wait_until([&] {
      loop_.run_all();
      return tally_.completed + tally_.failed + tally_.cancelled + tally_.timed_out == to_ - from_;
    });
  }

  [[nodiscard]] const Tally& tally() const { return tally_; }

 private:
  struct Open {
    Future<std::int64_t> future;
    std::size_t index;
    Fate fate;
    std::size_t lane;
    bool by_get;
  };

  std::uint64_t pick(std::uint64_t of) { return random_() % of; }

  static std::int64_t value_of(std::size_t index) { return static_cast<std::int64_t>(index * 7 + 3); }

  Future<std::int64_t> submit(std::size_t index, const CallOptions& options, std::size_t lane_number,
                              std::uint64_t kind, Fate fate) {
    Account& account = accounts_[index];
    const Submitter lane = lanes_[lane_number].with(options);
    if (fate == Fate::kPythonError) {
      if (kind % 2 == 0) return lane_int_[lane_number].with(options)("not a number");
      return lane.submit([&account](Worker& worker) {
        ++account.runs;
        return worker.eval<std::int64_t>("1 // 0");
      });
    }
    if (fate == Fate::kNativeError) {
      return lane.submit([&account]() -> std::int64_t {
        ++account.runs;
        throw std::out_of_range("thrown on purpose");
      });
    }
    switch (kind) {
      case 0: return lane_abs_[lane_number].with(options)(-value_of(index));
      case 1: return lane_int_[lane_number].with(options)(std::to_string(value_of(index)));
      case 2:
        return lane.submit([&account, index](Worker& worker) {
          ++account.runs;
          return worker.call<std::int64_t>("operator:add", value_of(index), 0);
        });
      default:
        // Owned data, so that a callable that dies twice, or never, is noticed.
        return lane.submit([&account, value = std::make_unique<std::int64_t>(value_of(index))] {
          ++account.runs;
          return *value;
        });
    }
  }

  void submit_one(std::size_t index) {
    const std::uint64_t dice = pick(100);
    const Fate fate = dice < 7 ? Fate::kPythonError : dice < 10 ? Fate::kNativeError : Fate::kValue;
    const std::size_t lane = pick(lanes_.size());
    accounts_[index].lane = static_cast<std::uint8_t>(lane);
    const std::uint64_t kind = pick(6);
    // How many of them are in time depends on the machine: more of what there is too little of.
    const std::uint64_t seen = index - from_ + 100;
    const std::uint64_t late_percent = tally_.timed_out * 100 < seen * 8 ? 30 : 3;
    const std::uint64_t cancel_percent = tally_.cancelled * 100 < seen * 8 ? 30 : 3;
    const bool hurried = pick(100) < late_percent;
    const bool to_cancel = !hurried && pick(100) < cancel_percent;

    CallOptions options;
    if (hurried) options.timeout = std::chrono::microseconds(1 + pick(200));
    if (dice == 99) options.timeout = 1h;  // which nobody will wait for
    if (dice == 98) options.name = "named";
    Future<std::int64_t> future;
    for (;;) {
      try {
        future = submit(index, options, lane, kind, fate);
        break;
      } catch (const TimeoutError&) {
        // The queue was full until then. The task was not accepted; another one takes its place.
        ++tally_.refused;
        *options.timeout *= 2;
      }
    }
    ++tally_.by_lane.at(lane).accepted;
    if (to_cancel) {
      const bool cancelled = future.cancel();
      if (cancelled != (future.ready() && cancelled)) ++tally_.wrong;
    }
    // Half of them are asked for by get(), some by result(), and the rest by a continuation.
    const std::uint64_t way = pick(8);
    if (way < 5) {
      open_.push_back({std::move(future), index, fate, lane, way < 4});
    } else {
      // The future of the continuation is dropped: it runs all the same.
      (void)future.then(
          loop_, [this, index, fate](const Result<std::int64_t>& result) { settle(index, fate, result); });
    }
  }

  void look_at_oldest() {
    Open oldest = std::move(open_.front());
    open_.pop_front();
    if (!oldest.by_get) {
      settle(oldest.index, oldest.fate, result(oldest.future));
      return;
    }
    try {
      settle_value(oldest.index, oldest.fate, get(oldest.future));
      ++tally_.values_by_get.at(oldest.lane);
    } catch (const std::out_of_range&) {
      settle_error(oldest.index, oldest.fate, ErrorCode::kNative);  // which get() throws as it was
    } catch (const Error& error) {
      settle_error(oldest.index, oldest.fate, error.code());
    }
    if (oldest.future.valid()) ++tally_.wrong;  // it gives its result once
  }

  void settle(std::size_t index, Fate fate, const Result<std::int64_t>& result) {
    if (result) {
      settle_value(index, fate, *result);
    } else {
      settle_error(index, fate, result.error().code());
    }
  }

  void settle_value(std::size_t index, Fate fate, std::int64_t value) {
    ++accounts_[index].settled;
    const int runs = accounts_[index].runs;
    ++tally_.completed;
    ++of_lane(index).completed;
    if (fate != Fate::kValue || value != value_of(index) || runs > 1) ++tally_.wrong;
  }

  void settle_error(std::size_t index, Fate fate, ErrorCode code) {
    ++accounts_[index].settled;
    const int runs = accounts_[index].runs;
    switch (code) {
      case ErrorCode::kPython:
        ++of_lane(index).failed;
        ++tally_.failed;
        if (fate != Fate::kPythonError || runs > 1) ++tally_.wrong;
        break;
      case ErrorCode::kNative:
        ++of_lane(index).failed;
        ++tally_.failed;
        if (fate != Fate::kNativeError || runs != 1) ++tally_.wrong;
        break;
      case ErrorCode::kCancelled:
        ++of_lane(index).cancelled;
        ++tally_.cancelled;
        if (runs != 0) ++tally_.wrong;
        break;
      case ErrorCode::kTimeout:
        ++of_lane(index).timed_out;
        ++tally_.timed_out;
        if (runs != 0) ++tally_.wrong;
        break;
      default: ++tally_.wrong;
    }
  }

  TaskCounts& of_lane(std::size_t index) { return tally_.by_lane.at(accounts_[index].lane); }

  std::vector<Account>& accounts_;
  const std::size_t from_;
  const std::size_t to_;
  std::mt19937_64 random_;
  const std::vector<Submitter> lanes_;
  std::vector<Function<std::int64_t(std::int64_t)>> lane_abs_;
  std::vector<Function<std::int64_t(std::string)>> lane_int_;
  std::deque<Open> open_;
  Loop loop_;
  Tally tally_;
};

/// Calls on a thread that is attached, meanwhile; a quarter of them fails.
TaskCounts call_attached(SubinterpreterExecutor& pool, std::uint64_t calls) {
  AttachedThread python = pool.attach();
  TaskCounts counts{.accepted = 1, .completed = 1};  // attaching is the first one
  for (int number = 0; counts.accepted <= calls; ++number) {
    ++counts.accepted;
    try {
      if (number % 4 == 0)
        throw std::logic_error("no error: " + python.call<std::string>("builtins:chr", -1));
      EXPECT_EQ(python.call<int>("builtins:abs", -number), number);
      ++counts.completed;
    } catch (const PythonError&) {
      ++counts.failed;
    }
  }
  return counts;
}

/// Whether pool.stats() says of each lane what the program knows of it.
void check_stats(const ExecutorStats& stats, const Tally& tally, const TaskCounts& attached, bool pooled) {
  std::array<TaskCounts, 4> expected;  // pinned, pooled, main, attached
  expected[3] = attached;
  for (std::size_t i = 0; i < kLanes; ++i) {
    TaskCounts& lane = expected.at(i == kLanes - 1 ? 2 : i < 2 && pooled ? 1 : 0);
    lane.accepted += tally.by_lane.at(i).accepted;
    lane.completed += tally.by_lane.at(i).completed;
    lane.failed += tally.by_lane.at(i).failed;
    lane.cancelled += tally.by_lane.at(i).cancelled;
    lane.timed_out += tally.by_lane.at(i).timed_out;
  }
  const std::array lanes = {Lane::kPinned, Lane::kPooled, Lane::kMain, Lane::kAttached};
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    const LaneStats& lane = stats.lanes.at(static_cast<std::size_t>(lanes.at(i)));
    EXPECT_EQ(lane.lane, lanes.at(i));
    EXPECT_EQ(lane.tasks.accepted, expected.at(i).accepted) << to_string(lane.lane);
    EXPECT_EQ(lane.tasks.completed, expected.at(i).completed) << to_string(lane.lane);
    EXPECT_EQ(lane.tasks.failed, expected.at(i).failed) << to_string(lane.lane);
    EXPECT_EQ(lane.tasks.cancelled, expected.at(i).cancelled) << to_string(lane.lane);
    EXPECT_EQ(lane.tasks.timed_out, expected.at(i).timed_out) << to_string(lane.lane);
    EXPECT_EQ(lane.queued, 0U) << to_string(lane.lane);
    EXPECT_EQ(lane.running, 0U) << to_string(lane.lane);
    // The one is the Runtime's, and the thread of the other has ended.
    if (lane.lane == Lane::kMain || lane.lane == Lane::kAttached) continue;
    std::uint64_t completed = 0;
    std::uint64_t failed = 0;
    for (const WorkerStats& worker : stats.workers) {
      if (worker.lane != lane.lane) continue;
      completed += worker.completed;
      failed += worker.failed;
    }
    EXPECT_EQ(completed, lane.tasks.completed) << to_string(lane.lane);
    EXPECT_EQ(failed, lane.tasks.failed) << to_string(lane.lane);
  }
  EXPECT_EQ(stats.tasks.accepted,
            tally.completed + tally.failed + tally.cancelled + tally.timed_out + attached.accepted);
  EXPECT_EQ(stats.tasks.settled(), stats.tasks.accepted);
}

void run_mix(std::size_t tasks, ExecutorOptions options) {
  const bool pooled = options.pooled.threads > 0;
  const std::uint64_t seed = option("--seed", std::random_device{}());
  testing::Test::RecordProperty("tasks", std::to_string(tasks));
  std::printf("%zu tasks, --seed %llu\n", tasks, static_cast<unsigned long long>(seed));
  std::vector<Account> accounts(tasks);
  Tally tally;
  TaskCounts attached;
  ExecutorReport report;
  {
    options.pinned_workers = kPinned;
    options.queue_capacity = 256;  // small enough that submitters wait for room now and then
    SubinterpreterExecutor pool(runtime(), std::move(options));
    std::vector<std::unique_ptr<Producer>> producers;
    for (std::size_t i = 0; i < kThreads; ++i) {
      producers.push_back(std::make_unique<Producer>(pool, accounts, tasks * i / kThreads,
                                                     tasks * (i + 1) / kThreads, seed + i));
    }
    std::vector<std::string> problems(kThreads);
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < kThreads; ++i) {
      threads.emplace_back([&producers, &problems, i] {
        try {
          producers[i]->run();
        } catch (const std::exception& error) {
          problems[i] = error.what();
        }
      });
    }
    threads.emplace_back([&] { attached = call_attached(pool, tasks / 10); });
    for (std::thread& thread : threads) thread.join();
    for (const std::string& problem : problems) ASSERT_EQ(problem, "");
    for (const auto& producer : producers) tally += producer->tally();
    const TaskCounts counts = pool.counts();
    EXPECT_EQ(attached.failed, (tasks / 10 + 3) / 4);
    EXPECT_EQ(counts.accepted, tasks + attached.accepted);
    EXPECT_EQ(counts.settled(), counts.accepted);
    check_stats(pool.stats(), tally, attached, pooled);
    tally.completed += attached.completed;
    tally.failed += attached.failed;
    report = pool.stop({.drain = kPatience, .timeout = kPatience});
  }

  std::printf("completed %llu, failed %llu, cancelled %llu, timed out %llu; no room in time: %llu\n",
              static_cast<unsigned long long>(tally.completed), static_cast<unsigned long long>(tally.failed),
              static_cast<unsigned long long>(tally.cancelled),
              static_cast<unsigned long long>(tally.timed_out),
              static_cast<unsigned long long>(tally.refused));
  std::size_t not_once = 0;
  for (const Account& account : accounts) not_once += account.settled == 1 ? 0 : 1;
  EXPECT_EQ(not_once, 0U) << "tasks that did not settle exactly once";
  EXPECT_EQ(tally.wrong, 0U) << "tasks that came to something else than they should";

  EXPECT_TRUE(report.drained);
  EXPECT_EQ(report.tasks.accepted, tasks + attached.accepted);
  EXPECT_EQ(report.tasks.settled(), report.tasks.accepted);
  EXPECT_EQ(report.tasks.completed, tally.completed);
  EXPECT_EQ(report.tasks.failed, tally.failed);
  EXPECT_EQ(report.tasks.cancelled, tally.cancelled);
  EXPECT_EQ(report.tasks.timed_out, tally.timed_out);
  EXPECT_EQ(report.tasks.abandoned, 0U);
  EXPECT_EQ(report.interpreters_left, 0U);
  EXPECT_EQ(take_log(), std::vector<std::string>{});

  // The mix is what it is meant to be.
  EXPECT_GE(tally.failed * 20, tasks);
  EXPECT_GE(tally.cancelled * 20, tasks);
  EXPECT_GE(tally.timed_out * 20, tasks);
  EXPECT_GE(tally.completed * 20, tasks);
  for (const std::uint64_t values : tally.values_by_get) EXPECT_GE(values * 20, tally.completed);
}

std::size_t tasks_wanted() { return static_cast<std::size_t>(option("--tasks", INTERPOOL_STRESS_TASKS)); }

TEST(TasksStress, EachSettlesExactlyOnce) {
  run_mix(tasks_wanted(), {.name = "stress", .pooled = {.threads = 3, .interpreters = 2}});
}

TEST(TasksStress, EachSettlesExactlyOnceWherePinnedWorkersTakeFromTwoQueues) {
  run_mix(tasks_wanted() / 4, {.name = "stress"});
}

}  // namespace
}  // namespace interpool::test
