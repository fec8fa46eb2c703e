// The observer: a trace made from what it is told.
#include "interpool/observer.h"

#include "support/busy.h"
#include "support/executors.h"
#include "support/runtime.h"
#include "support/sync.h"

#include <interpool/interpool.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace interpool::test {
namespace {

using namespace std::chrono_literals;
using Time = std::chrono::steady_clock::time_point;

/// A span of a Chrome trace: a row has a name, and what is in it.
struct Span {
  std::string name;
  Time begin;
  Time end;
};

struct Task {
  std::string name;
  std::string worker;
  Lane lane{};
  int accepted = 0;
  int started = 0;
  int settled = 0;
  Time submitted;
  std::optional<Time> start;
  std::optional<Time> end;
  std::optional<Outcome> outcome;
  std::thread::id started_on;
};

/// Keeps all that it is told.
class Trace final : public Observer {
 public:
  void task_accepted(const TaskEvent& event) noexcept override {
    const std::lock_guard lock(mutex_);
    ++note(event).accepted;
    wrong_ += event.started || event.settled || event.outcome ? 1 : 0;
  }
  void task_started(const TaskEvent& event) noexcept override {
    const std::lock_guard lock(mutex_);
    Task& task = note(event);
    ++task.started;
    task.started_on = std::this_thread::get_id();
    wrong_ += !event.started || event.settled || event.outcome || event.worker.empty() ? 1 : 0;
    if (event.lane != Lane::kAttached) wrong_ += holds_gil() ? 0 : 1;
  }
  void task_settled(const TaskEvent& event) noexcept override {
    const std::lock_guard lock(mutex_);
    Task& task = note(event);
    ++task.settled;
    task.start = event.started;
    task.end = event.settled;
    task.outcome = event.outcome;
    task.worker = event.worker;
    wrong_ += !event.settled || !event.outcome ? 1 : 0;
  }
  void interpreter_started(const InterpreterEvent& event) noexcept override {
    const std::lock_guard lock(mutex_);
    begun_[std::string(event.worker)] = {.name = "interpreter " + std::to_string(event.interpreter),
                                         .begin = event.time - event.start_time,
                                         .end = {}};
    ++interpreters_started_;
    wrong_ += event.generation == 0 || event.start_time <= 0ns ? 1 : 0;
  }
  void interpreter_ended(const InterpreterEvent& event) noexcept override {
    const std::lock_guard lock(mutex_);
    Span& span = begun_[std::string(event.worker)];
    // One that replaces it may have begun by now.
    if (span.name == "interpreter " + std::to_string(event.interpreter)) span.end = event.time;
    ++interpreters_ended_;
  }

  [[nodiscard]] std::map<std::uint64_t, Task> tasks() const {
    const std::lock_guard lock(mutex_);
    return tasks_;
  }
  [[nodiscard]] std::map<std::string, Span> interpreters() const {
    const std::lock_guard lock(mutex_);
    return begun_;
  }
  /// The one task of that name.
  [[nodiscard]] Task task(const std::string& name) const {
    std::vector<Task> found;
    for (const auto& [number, task] : tasks()) {
      if (task.name == name) found.push_back(task);
    }
    if (found.size() != 1) throw std::runtime_error(std::to_string(found.size()) + " tasks '" + name + "'");
    return found[0];
  }
  [[nodiscard]] int abandoned(Lane lane) const {
    int count = 0;
    for (const auto& [number, task] : tasks()) {
      count += task.lane == lane && task.outcome == Outcome::kAbandoned ? 1 : 0;
    }
    return count;
  }
  [[nodiscard]] int wrong() const {
    const std::lock_guard lock(mutex_);
    return wrong_;
  }
  [[nodiscard]] std::pair<int, int> interpreter_counts() const {
    const std::lock_guard lock(mutex_);
    return {interpreters_started_, interpreters_ended_};
  }

 private:
  Task& note(const TaskEvent& event) {
    Task& task = tasks_[event.task];
    if (task.accepted + task.started + task.settled > 0) {
      wrong_ +=
          task.name == event.name && task.lane == event.lane && task.submitted == event.submitted ? 0 : 1;
    }
    task.name = event.name;
    task.lane = event.lane;
    task.submitted = event.submitted;
    wrong_ += event.executor == "observed" && event.task > 0 ? 0 : 1;
    return task;
  }

  mutable std::mutex mutex_;
  std::map<std::uint64_t, Task> tasks_;
  std::map<std::string, Span> begun_;
  int interpreters_started_ = 0;
  int interpreters_ended_ = 0;
  int wrong_ = 0;
};

class Observed : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(runtime().interpreter_count(), 0U); }
  void TearDown() override {
    wait_for_interpreters(0);
    EXPECT_EQ(trace_->wrong(), 0);
    for (const auto& [number, task] : trace_->tasks()) {
      EXPECT_EQ(task.accepted, 1) << number << ' ' << task.name;
      EXPECT_EQ(task.settled, 1) << number << ' ' << task.name;
      EXPECT_EQ(task.started, task.start ? 1 : 0) << number << ' ' << task.name;
      if (!task.end) continue;
      EXPECT_LE(task.submitted, task.start.value_or(*task.end)) << number << ' ' << task.name;
      EXPECT_LE(task.start.value_or(*task.end), *task.end) << number << ' ' << task.name;
    }
  }
  ExecutorOptions options() {
    return {.name = "observed",
            .pinned_workers = 1,
            .pooled = {.threads = 2, .interpreters = 1},
            .queue_capacity = 8,
            .observer = trace_};
  }

  std::shared_ptr<Trace> trace_ = std::make_shared<Trace>();
};

TEST_F(Observed, ATraceOfEverythingIsCompleteAndNests) {
  TaskCounts counts;
  std::atomic<int> refused = 0;
  {
    SubinterpreterExecutor pool(runtime(), options());
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 3; ++thread) {
      threads.emplace_back([&pool, &refused, thread] {
        for (int i = 0; i < 200; ++i) {
          const Submitter to = i % 4 == 0 ? pool.main() : i % 4 == 1 ? pool.pinned(0) : Submitter(pool);
          if (i % 10 == 0) {
            (void)result(to.call<int>("builtins:int", "x"));
          } else if (i % 10 == 1) {
            auto future = to.submit([] {});
            (void)future.cancel();
          } else if (i % 10 == 2) {
            try {
              (void)result(to.with({.timeout = 1us}).call<int>("builtins:abs", 1));
            } catch (const TimeoutError&) {
              ++refused;  // there was no room until then
            }
          } else {
            (void)to.with({.name = "named"}).submit([] {});
          }
        }
        AttachedThread python = pool.attach();
        EXPECT_EQ(python.call<int>("builtins:abs", -thread), thread);
      });
    }
    for (std::thread& thread : threads) thread.join();
    get(pool.map<int>("builtins:abs", std::vector<int>{1, 2, 3}));
    get(pool.submit([] {}).then(pool, [](const Result<void>&) {}));
    counts = pool.stop({.drain = kPatience, .timeout = kPatience}).tasks;
  }
  TaskCounts told;
  std::map<std::string, std::vector<Span>> rows;
  for (const auto& [number, task] : trace_->tasks()) {
    ++told.accepted;
    switch (task.outcome.value()) {
      case Outcome::kCompleted: ++told.completed; break;
      case Outcome::kFailed: ++told.failed; break;
      case Outcome::kCancelled: ++told.cancelled; break;
      case Outcome::kTimedOut: ++told.timed_out; break;
      case Outcome::kAbandoned: ++told.abandoned; break;
    }
    EXPECT_EQ(task.start.has_value(),
              *task.outcome == Outcome::kCompleted || *task.outcome == Outcome::kFailed);
    EXPECT_EQ(task.worker.empty(), !task.start);
    if (task.start) {
      EXPECT_TRUE(task.worker.starts_with(to_string(task.lane))) << task.worker;
      rows[task.worker].push_back({.name = task.name, .begin = *task.start, .end = *task.end});
    }
  }
  EXPECT_EQ(told.accepted, counts.accepted);
  EXPECT_EQ(told.completed, counts.completed);
  EXPECT_EQ(told.failed, counts.failed);
  EXPECT_EQ(told.cancelled, counts.cancelled);
  EXPECT_EQ(told.timed_out, counts.timed_out);
  EXPECT_EQ(told.abandoned, 0U);
  EXPECT_EQ(told.accepted, 3 * (200 + 2) + 3 + 2 - static_cast<std::uint64_t>(refused));

  // Tasks of one worker follow each other, within the life of its interpreter.
  const auto interpreters = trace_->interpreters();
  EXPECT_EQ(trace_->interpreter_counts(), std::pair(5, 5));  // one pinned, one pooled, three attached
  for (auto& [worker, spans] : rows) {
    std::ranges::sort(spans, {}, &Span::begin);
    for (std::size_t i = 1; i < spans.size(); ++i) EXPECT_LE(spans[i - 1].end, spans[i].begin) << worker;
    const auto interpreter = interpreters.find(worker);
    if (interpreter == interpreters.end()) continue;  // main, and the pooled thread that has joined the other
    EXPECT_LE(spans.back().end, interpreter->second.end) << worker;
    if (worker.starts_with("attached")) continue;  // whose first call creates it
    EXPECT_LE(interpreter->second.begin, spans.front().begin) << worker;
  }
}

TEST_F(Observed, EachHasItsNameItsLaneAndItsThread) {
  SubinterpreterExecutor pool(runtime(), options());
  const auto on =
      get(pool.pinned(0).with({.name = "mine"}).submit([] { return std::this_thread::get_id(); }));
  get(pool.main().call<int>("builtins:abs", 1));
  EXPECT_EQ(trace_->task("mine").started_on, on);
  EXPECT_EQ(trace_->task("mine").lane, Lane::kPinned);
  EXPECT_EQ(trace_->task("builtins:abs").lane, Lane::kMain);
  (void)pool.stop({.drain = kPatience, .timeout = kPatience});
  EXPECT_EQ(trace_->task("mine").worker, "pinned-0");
  EXPECT_EQ(trace_->task("builtins:abs").worker, "main");
}

TEST_F(Observed, WhatWasRefusedIsNotTold) {
  SubinterpreterExecutor pool(runtime(), options());
  BusyTask busy(pool.pinned(0).with({.name = "busy"}));
  std::vector<Future<void>> waiting;
  for (int i = 0; i < 8; ++i) waiting.push_back(pool.pinned(0).submit([] {}));
  EXPECT_FALSE(pool.pinned(0).with({.name = "refused"}).try_submit([] {}));
  busy.release();
  for (auto& future : waiting) get(future);
  pool.close();
  EXPECT_THROW((void)pool.with({.name = "refused"}).submit([] {}), ShutdownError);
  (void)pool.stop({.drain = kPatience, .timeout = kPatience});
  EXPECT_EQ(trace_->tasks().size(), 9U);
}

TEST_F(Observed, WhatIsGivenUpIsToldOnce) {
  std::optional<BusyTask> on_main;
  Event attached;
  Event released;
  std::thread thread;
  {
    SubinterpreterExecutor pool(runtime(), options());
    thread = std::thread([&] {
      try {
        AttachedThread python = pool.attach();
        python.run([&](Worker&) {
          attached.set();
          released.wait();
        });
      } catch (const Error& error) {
        ADD_FAILURE() << error.what();
      }
    });
    attached.wait();  // before main's GIL is kept, which its interpreter needs
    BusyTask busy(pool.pinned(0).with({.name = "stuck"}));
    on_main.emplace(pool.main().with({.name = "stuck on main"}));
    EXPECT_EQ(pool.stop({.timeout = 1ms}).tasks.abandoned, 3U);
    EXPECT_EQ(trace_->task("stuck").outcome, Outcome::kAbandoned);
    EXPECT_EQ(trace_->task("stuck").worker, "pinned-0");
    EXPECT_EQ(trace_->task("stuck on main").outcome, Outcome::kAbandoned);
    EXPECT_EQ(trace_->abandoned(Lane::kAttached), 1);
  }
  on_main->release();
  released.set();
  thread.join();
  SubinterpreterExecutor next(runtime(), {.name = "next", .pinned_workers = 1});
  get(next.main().submit([] {}));  // main has come back from it
  (void)take_log();
}

TEST_F(Observed, OneThatHasNoInterpreterFailsWithoutAStart) {
  ExecutorOptions broken = options();
  broken.preload = {"no_such_module"};
  SubinterpreterExecutor pool(runtime(), broken);
  EXPECT_THROW(get(pool.pinned(0).with({.name = "first"}).submit([] {})), WorkerError);
  (void)pool.stop({.timeout = kPatience});
  EXPECT_EQ(trace_->task("first").outcome, Outcome::kFailed);
  EXPECT_FALSE(trace_->task("first").start);
  EXPECT_EQ(trace_->interpreter_counts(), std::pair(1, 1));
}

TEST_F(Observed, EachInterpreterThatIsReplacedHasAnEnd) {
  ExecutorOptions recycling = options();
  recycling.recycle.after_tasks = 2;
  SubinterpreterExecutor pool(runtime(), recycling);
  for (int i = 0; i < 6; ++i) get(pool.pinned(0).submit([] {}));
  (void)pool.stop({.drain = kPatience, .timeout = kPatience});
  EXPECT_EQ(trace_->interpreter_counts(), std::pair(3, 3));
}

TEST_F(Observed, ItIsLetGoWithItsExecutor) {
  const std::weak_ptr<Trace> watched = trace_;
  {
    SubinterpreterExecutor pool(runtime(), options());
    get(pool.submit([] {}));
  }
  wait_for_interpreters(0);
  trace_ = std::make_shared<Trace>();
  wait_until([&] { return watched.expired(); });
}

}  // namespace
}  // namespace interpool::test
