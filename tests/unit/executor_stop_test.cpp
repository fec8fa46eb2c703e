// The end of an executor: close, drain, stop, destruction, and what the report says.
#include "support/busy.h"
#include "support/runtime.h"
#include "support/sync.h"

#include <interpool/interpool.h>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace interpool::test {
namespace {

using namespace std::chrono_literals;

/// All of this holds for each number and kind of workers.
class WithWorkers : public testing::TestWithParam<ExecutorOptions> {
 protected:
  void SetUp() override { ASSERT_EQ(runtime().interpreter_count(), 0U); }
  void TearDown() override {
    wait_for_interpreters(0);
    take_log();
  }
  static ExecutorOptions options() { return GetParam(); }
  static std::size_t workers() { return GetParam().pinned_workers + GetParam().pooled.threads; }
  /// A task for each interpreter: pinned ones by address, pooled ones as they come.
  static std::vector<std::unique_ptr<BusyTask>> keep_busy(const SubinterpreterExecutor& pool) {
    std::vector<std::unique_ptr<BusyTask>> busy;
    for (std::size_t i = 0; i < options().pinned_workers; ++i)
      busy.push_back(std::make_unique<BusyTask>(pool.pinned(i)));
    for (std::size_t i = 0; i < options().pooled.interpreters; ++i)
      busy.push_back(std::make_unique<BusyTask>(pool));
    return busy;
  }
};

void expect_balance(const ExecutorReport& report) {
  const TaskCounts& t = report.tasks;
  EXPECT_EQ(t.settled(), t.accepted);
  EXPECT_EQ(t.settled(), t.completed + t.failed + t.cancelled + t.timed_out + t.abandoned);
  EXPECT_EQ(t.cancelled >= report.cancelled.size(), true);
  EXPECT_EQ(t.abandoned, report.abandoned.size());
}

TEST_P(WithWorkers, DrainLetsEverythingFinish) {
  SubinterpreterExecutor pool(runtime(), options());
  std::vector<Future<int>> futures;
  for (int i = 0; i < 100; ++i) futures.push_back(pool.call<int>("builtins:abs", -i));
  futures.push_back(pool.main().call<int>("builtins:abs", -100));
  EXPECT_TRUE(pool.drain(kPatience));
  for (auto& future : futures) EXPECT_TRUE(future.ready());
  EXPECT_EQ(pool.in_flight(), 0U);
  EXPECT_THROW((void)pool.call<int>("builtins:abs", 1), ShutdownError);
  EXPECT_TRUE(pool.drain(0ms)) << "again";
  EXPECT_EQ(pool.counts().completed, 101U);
}

TEST_P(WithWorkers, DrainGivesUpAtItsTimeAndChangesNothing) {
  SubinterpreterExecutor pool(runtime(), options());
  BusyTask busy(pool);
  EXPECT_FALSE(pool.drain(0ms));
  EXPECT_FALSE(pool.drain(5ms));
  EXPECT_FALSE(busy.future().ready());
  EXPECT_EQ(pool.in_flight(), 1U);
  busy.release();
  EXPECT_TRUE(pool.drain(kPatience));
}

TEST_P(WithWorkers, StopDrainsFirst) {
  SubinterpreterExecutor pool(runtime(), options());
  std::vector<Future<int>> futures;
  for (int i = 0; i < 100; ++i) futures.push_back(pool.call<int>("builtins:abs", -i));
  const ExecutorReport report = pool.stop({.drain = kPatience, .timeout = kPatience});
  EXPECT_TRUE(report.drained);
  EXPECT_TRUE(report.cancelled.empty());
  EXPECT_TRUE(report.abandoned.empty());
  EXPECT_EQ(report.interpreters_left, 0U);
  EXPECT_EQ(report.tasks.completed, 100U);
  expect_balance(report);
  EXPECT_EQ(runtime().interpreter_count(), 0U);
  for (auto& future : futures) EXPECT_GE(get(future), 0);
}

TEST_P(WithWorkers, StopCancelsWhatIsQueuedAndWaitsForWhatRuns) {
  SubinterpreterExecutor pool(runtime(), options());
  const auto busy = keep_busy(pool);
  auto queued = pool.with({.name = "queued"}).submit([] {});
  std::thread releaser([&] {
    queued.wait();
    for (auto& task : busy) {
      EXPECT_FALSE(task->future().ready());
      task->release();
    }
  });
  const ExecutorReport report = pool.stop({.timeout = kPatience});
  releaser.join();
  EXPECT_FALSE(report.drained);
  EXPECT_EQ(report.cancelled, std::vector<std::string>{"queued"});
  EXPECT_TRUE(report.abandoned.empty());
  EXPECT_EQ(report.tasks.completed, busy.size());
  EXPECT_EQ(report.tasks.cancelled, 1U);
  EXPECT_EQ(report.interpreters_left, 0U);
  expect_balance(report);
  EXPECT_THROW(get(queued), CancelledError);
  for (auto& task : busy) EXPECT_TRUE(task->future().ready());
}

TEST_P(WithWorkers, StopAbandonsWhatDoesNotEndInTime) {
  std::optional<BusyTask> busy;
  {
    SubinterpreterExecutor pool(runtime(), options());
    busy.emplace(pool);
    const ExecutorReport report = pool.stop({.timeout = 10ms});
    EXPECT_FALSE(report.drained);
    EXPECT_EQ(report.abandoned.size(), 1U);
    EXPECT_EQ(report.tasks.abandoned, 1U);
    EXPECT_EQ(report.tasks.completed, 0U);
    EXPECT_EQ(report.interpreters_left, 1U);
    expect_balance(report);
    EXPECT_TRUE(busy->future().ready());
    EXPECT_THROW(get(busy->future()), AbandonedError);
    const ExecutorReport again = pool.stop({.timeout = kPatience});
    EXPECT_EQ(again.abandoned, report.abandoned);
    EXPECT_EQ(again.interpreters_left, report.interpreters_left);
    EXPECT_EQ(pool.in_flight(), 0U);
  }
  const auto log = take_log();
  EXPECT_FALSE(log.empty()) << "abandoning is worth a line";
  // The executor is gone; its thread comes back, drops the callable and ends its interpreter.
  EXPECT_EQ(runtime().interpreter_count(), 1U);
  busy->release();
  wait_for_interpreters(0);
}

TEST_P(WithWorkers, AnAbandonedTasksCallableLivesUntilItsThreadComesBack) {
  Mortal callable;
  const auto record = callable.record();
  auto release = std::make_shared<Event>();
  Future<Mortal> future;
  {
    SubinterpreterExecutor pool(runtime(), options());
    auto started = std::make_shared<Event>();
    future = pool.with({.name = "stuck"}).submit([m = std::move(callable), started, release]() mutable {
      started->set();
      release->wait();
      return std::move(m);  // a value that comes too late
    });
    started->wait();
    EXPECT_EQ(pool.stop({.timeout = 10ms}).abandoned, std::vector<std::string>{"stuck"});
  }
  EXPECT_EQ(error_of<AbandonedError>(std::move(future)).task(), "stuck");
  EXPECT_FALSE(record->died.is_set());
  release->set();
  record->died.wait();
  wait_for_interpreters(0);
}

TEST_P(WithWorkers, DestructionWithQueuedRunningAndBlockedWork) {
  std::optional<BusyTask> busy;
  std::vector<Future<int>> queued;
  std::atomic<int> refused = 0;
  std::optional<SleepingThread> blocked;
  std::thread releaser;
  {
    ExecutorOptions small = options();
    small.queue_capacity = 2;
    SubinterpreterExecutor pool(runtime(), small);
    const Submitter lane =
        options().pinned_workers > 0 ? pool.pinned(0) : static_cast<const Submitter&>(pool);
    std::vector<std::unique_ptr<BusyTask>> others;
    if (options().pinned_workers == 0) {
      for (std::size_t i = 1; i < options().pooled.interpreters; ++i)
        others.push_back(std::make_unique<BusyTask>(pool));
    }
    busy.emplace(lane);
    for (int i = 0; i < 2; ++i) queued.push_back(lane.call<int>("builtins:abs", -i));
    // With a Submitter of its own: the executor may be gone when it wakes.
    blocked.emplace([&refused, lane] {
      try {
        (void)lane.call<int>("builtins:abs", -9);
      } catch (const ShutdownError&) {
        ++refused;
      }
    });
    blocked->wait_until_asleep();
    releaser = std::thread([&, others = std::move(others)] {
      queued[1].wait();
      EXPECT_FALSE(busy->future().ready());
      busy->release();
    });
  }
  releaser.join();
  blocked->join();
  EXPECT_EQ(refused, 1);
  EXPECT_NO_THROW(get(busy->future())) << "what ran in time has its value";
  for (auto& future : queued) EXPECT_THROW(get(future), CancelledError);
}

TEST_P(WithWorkers, ADestructorIsBoundedByItsOption) {
  std::optional<BusyTask> busy;
  {
    ExecutorOptions bounded = options();
    bounded.stop_timeout = 10ms;
    SubinterpreterExecutor pool(runtime(), bounded);
    busy.emplace(pool);
  }
  EXPECT_THROW(get(busy->future()), AbandonedError);
  busy->release();
}

TEST_P(WithWorkers, CancelQueuedTakesWhatHasNotStarted) {
  SubinterpreterExecutor pool(runtime(), options());
  const auto busy = keep_busy(pool);
  BusyTask main(pool.main());
  std::vector<Future<int>> queued;
  for (int i = 0; i < 3; ++i) queued.push_back(pool.call<int>("builtins:abs", -i));
  for (std::size_t i = 0; i < options().pinned_workers; ++i)
    queued.push_back(pool.pinned(i).call<int>("builtins:abs", 1));
  queued.push_back(pool.main().call<int>("builtins:abs", 1));
  EXPECT_EQ(pool.cancel_queued(), queued.size());
  for (auto& future : queued) {
    EXPECT_TRUE(future.ready());
    EXPECT_THROW(get(future), CancelledError);
  }
  EXPECT_EQ(pool.cancel_queued(), 0U);
  auto after = pool.call<int>("builtins:abs", -5);
  for (auto& task : busy) task->release();
  main.release();
  EXPECT_EQ(get(after), 5) << "it goes on";
  EXPECT_EQ(pool.counts().cancelled, queued.size());
}

TEST_P(WithWorkers, StopWithoutAnyTaskEndsAtOnce) {
  SubinterpreterExecutor pool(runtime(), options());
  const ExecutorReport report = pool.stop({});
  EXPECT_TRUE(report.drained);
  EXPECT_EQ(report.tasks.accepted, 0U);
  EXPECT_EQ(report.interpreters_left, 0U);
}

TEST_P(WithWorkers, ManyThreadsMayStopAtOnce) {
  SubinterpreterExecutor pool(runtime(), options());
  std::optional<BusyTask> busy(pool);
  std::atomic<int> same = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      const ExecutorReport report = pool.stop({.drain = kPatience});
      if (report.drained && report.tasks.completed == 1) ++same;
    });
  }
  busy->release();
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(same, 4);
}

TEST_P(WithWorkers, ASecondStopIsBoundedByItsOwnTime) {
  SubinterpreterExecutor pool(runtime(), options());
  std::optional<BusyTask> busy(pool);
  std::thread first([&] { EXPECT_TRUE(pool.stop({.drain = kPatience, .timeout = kPatience}).drained); });
  wait_until([&] { return !pool.try_submit([] {}); });
  const ExecutorReport second = pool.stop({.timeout = 5ms});
  EXPECT_FALSE(busy->future().ready()) << "the first one's drain goes on";
  EXPECT_FALSE(second.drained);
  EXPECT_LT(second.tasks.settled(), second.tasks.accepted);
  EXPECT_GE(second.interpreters_left, 1U);
  busy->release();
  first.join();
  EXPECT_TRUE(pool.stop({}).drained);
}

TEST_P(WithWorkers, StopInADestructorThatStopRunsReturnsAtOnce) {
  std::optional<ExecutorReport> inner;
  SubinterpreterExecutor pool(runtime(), options());
  const auto busy = keep_busy(pool);
  auto queued = pool.submit([again = AtDeath([&] { inner = pool.stop({.timeout = kPatience}); })] {});
  std::thread releaser([&] {
    queued.wait();
    for (auto& task : busy) task->release();
  });
  const ExecutorReport outer = pool.stop({.timeout = kPatience});
  releaser.join();
  ASSERT_TRUE(inner);
  EXPECT_FALSE(inner->drained);
  EXPECT_EQ(inner->tasks.cancelled, 0U) << "it is just being cancelled";
  EXPECT_EQ(outer.tasks.cancelled, 1U);
  expect_balance(outer);
}

TEST_P(WithWorkers, StopAndDrainInATaskOfItsOwnAreErrors) {
  SubinterpreterExecutor pool(runtime(), options());
  for (const Submitter& lane : std::vector<Submitter>{pool, pool.main()}) {
    get(lane.submit([&] {
      EXPECT_THROW((void)pool.stop({}), DeadlockError);
      EXPECT_THROW((void)pool.drain(1s), DeadlockError);
      EXPECT_THROW((void)runtime().stop(1s), DeadlockError);
    }));
  }
  EXPECT_EQ(get(pool.call<int>("builtins:abs", -1)), 1) << "nothing was closed";
  // A task of another executor may.
  SubinterpreterExecutor other(runtime(), {.pooled = {.threads = 1}});
  EXPECT_TRUE(get(other.submit([&] { return pool.stop({.drain = kPatience}).drained; })));
}

TEST_P(WithWorkers, StopWhereAResultDiesOnItsWorkerIsAnError) {
  SubinterpreterExecutor pool(runtime(), options());
  Event died;
  (void)pool.submit([&] {
    return AtDeath([&] {
      EXPECT_THROW((void)pool.stop({.timeout = kPatience}), DeadlockError);
      EXPECT_THROW((void)pool.drain(kPatience), DeadlockError);
      died.set();
    });
  });
  died.wait();
}

TEST_P(WithWorkers, CloseInATaskOfItsOwnIsFine) {
  SubinterpreterExecutor pool(runtime(), options());
  auto first = pool.submit([&] {
    pool.close();
    EXPECT_THROW((void)pool.submit([] {}), ShutdownError);
  });
  get(first);
  EXPECT_TRUE(pool.drain(kPatience));
}

TEST_P(WithWorkers, DestructionInATaskOfItsOwnAbandonsItAtOnce) {
  auto pool = std::make_unique<SubinterpreterExecutor>(runtime(), options());
  Event submitted;
  Event destroyed;
  auto future = pool->with({.name = "suicidal"}).submit([&] {
    submitted.wait();
    pool.reset();
    destroyed.set();
  });
  submitted.set();
  EXPECT_EQ(error_of<AbandonedError>(std::move(future)).task(), "suicidal");
  destroyed.wait();
}

TEST_P(WithWorkers, SubmittersMayOutliveTheirExecutor) {
  std::optional<Submitter> any;
  std::optional<Submitter> main;
  std::optional<Function<int(int)>> function;
  {
    SubinterpreterExecutor pool(runtime(), options());
    any.emplace(pool.with({}));
    main.emplace(pool.main());
    function.emplace(pool.function<int(int)>("builtins:abs"));
    EXPECT_EQ(get((*function)(-1)), 1);
  }
  EXPECT_THROW((void)any->submit([] {}), ShutdownError);
  EXPECT_EQ(any->try_submit([] {}).error().code(), ErrorCode::kShutdown);
  EXPECT_THROW((void)main->call<int>("builtins:abs", 1), ShutdownError);
  EXPECT_THROW((void)(*function)(-1), ShutdownError);
  EXPECT_THROW((void)any->map<int>("builtins:abs", std::vector<int>{1}), ShutdownError);
}

TEST_P(WithWorkers, CountsHaveTheOutcomeOfEachTask) {
  SubinterpreterExecutor pool(runtime(), options());
  std::vector<std::unique_ptr<BusyTask>> busy;
  for (int i = 0; i < 5; ++i) get(pool.call<int>("builtins:abs", -i));
  for (int i = 0; i < 3; ++i) EXPECT_THROW(get(pool.call<int>("interpool_probe:fail", "x")), PythonError);
  EXPECT_THROW(get(pool.main().call<int>("interpool_probe:fail", "x")), PythonError);
  get(pool.main().call<int>("builtins:abs", 1));
  TaskCounts counts = pool.counts();
  EXPECT_EQ(counts.accepted, 10U);
  EXPECT_EQ(counts.completed, 6U);
  EXPECT_EQ(counts.failed, 4U);
  BusyTask main(pool.main());
  auto cancelled = pool.main().call<int>("builtins:abs", 1);
  auto late = pool.main().with({.timeout = 1ms}).call<int>("builtins:abs", 1);
  EXPECT_TRUE(cancelled.cancel());
  EXPECT_THROW(get(late), TimeoutError);
  main.release();
  const ExecutorReport report = pool.stop({.drain = kPatience});
  EXPECT_EQ(report.tasks.accepted, 13U);
  EXPECT_EQ(report.tasks.completed, 7U);
  EXPECT_EQ(report.tasks.failed, 4U);
  EXPECT_EQ(report.tasks.cancelled, 1U);
  EXPECT_EQ(report.tasks.timed_out, 1U);
  expect_balance(report);
}

TEST_P(WithWorkers, StoppingUnderLoadAccountsForEveryTask) {
  for (int round = 0; round < 10; ++round) {
    SubinterpreterExecutor pool(runtime(), options());
    std::atomic<std::uint64_t> accepted = 0;
    std::atomic<bool> closed = false;
    std::vector<std::vector<Future<int>>> futures(3);
    std::vector<std::thread> threads;
    for (auto& mine : futures) {
      threads.emplace_back([&] {
        while (!closed) {
          try {
            mine.push_back(pool.call<int>("builtins:abs", -1));
            ++accepted;
          } catch (const ShutdownError&) {
            closed = true;
          }
        }
      });
    }
    wait_until([&] { return pool.counts().completed > 20; });
    const ExecutorReport report = pool.stop({});
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(report.tasks.accepted, accepted);
    expect_balance(report);
    std::uint64_t values = 0;
    std::uint64_t cancelled = 0;
    for (auto& mine : futures) {
      for (auto& future : mine) {
        ASSERT_TRUE(future.ready());
        const auto outcome = future.result();
        if (outcome) {
          ++values;
        } else {
          EXPECT_EQ(outcome.error().code(), ErrorCode::kCancelled);
          ++cancelled;
        }
      }
    }
    EXPECT_EQ(report.tasks.completed, values);
    EXPECT_EQ(report.tasks.cancelled, cancelled);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Executors, WithWorkers,
    testing::Values(ExecutorOptions{.name = "one", .pooled = {.threads = 1, .interpreters = 1}},
                    ExecutorOptions{.name = "pinned", .pinned_workers = 2},
                    ExecutorOptions{.name = "pooled", .pooled = {.threads = 2, .interpreters = 2}},
                    ExecutorOptions{.name = "shared", .pooled = {.threads = 4, .interpreters = 2}}),
    [](const testing::TestParamInfo<ExecutorOptions>& kind) { return kind.param.name; });

// --- several executors ---------------------------------------------------------------------------------

TEST(SharedMainLane, EndsOnlyTheTasksOfTheExecutorThatStops) {
  SubinterpreterExecutor first(runtime(), {.name = "first", .pooled = {.threads = 1}});
  SubinterpreterExecutor second(runtime(), {.name = "second", .pooled = {.threads = 1}});
  BusyTask busy(first.main());
  auto of_first = first.main().with({.name = "of first"}).call<int>("builtins:abs", -1);
  auto of_second = second.main().call<int>("builtins:abs", -2);
  std::thread releaser([&] {
    of_first.wait();
    EXPECT_FALSE(of_second.ready());
    busy.release();
  });
  const ExecutorReport report = first.stop({.timeout = kPatience});
  releaser.join();
  EXPECT_EQ(report.cancelled, std::vector<std::string>{"of first"});
  EXPECT_EQ(report.tasks.completed, 1U);
  EXPECT_EQ(get(of_second), 2);
  EXPECT_EQ(get(second.main().call<int>("builtins:abs", -3)), 3);
  EXPECT_EQ(second.counts().accepted, 2U);
}

TEST(SharedMainLane, AnAbandonedMainTaskDelaysTheOthersAndNoMore) {
  SubinterpreterExecutor second(runtime(), {.pooled = {.threads = 1}});
  Future<int> behind;
  std::optional<BusyTask> busy;
  {
    SubinterpreterExecutor first(runtime(), {.pooled = {.threads = 1}});
    busy.emplace(first.main());
    behind = second.main().call<int>("builtins:abs", -2);
    const ExecutorReport report = first.stop({.timeout = 10ms});
    EXPECT_EQ(report.tasks.abandoned, 1U);
    EXPECT_EQ(report.interpreters_left, 0U);
  }
  EXPECT_THROW(get(busy->future()), AbandonedError);
  EXPECT_FALSE(behind.ready());
  busy->release();
  EXPECT_EQ(get(behind), 2);
  take_log();
}

TEST(StopOfAnInterpreter, JoinsThePythonThreadsInIt) {
  auto started = std::make_unique<SubinterpreterExecutor>(runtime(), ExecutorOptions{.pinned_workers = 1});
  get(started->pinned(0).submit([](Worker& w) {
    w.exec(
        "import threading\n"
        "go = threading.Event()\n"
        "running = threading.Event()\n"
        "def work():\n"
        "  running.set()\n"
        "  go.wait()\n"
        "threading.Thread(target=work).start()\n"
        "running.wait()\n"
        "threading._register_atexit(go.set)\n");
  }));
  const ExecutorReport report = started->stop({});
  EXPECT_EQ(report.interpreters_left, 0U);
  EXPECT_EQ(runtime().interpreter_count(), 0U);
}

TEST(StopOfAnInterpreter, EndsAThreadPoolThatPythonLeftOpen) {
  SubinterpreterExecutor pool(runtime(), {.pooled = {.threads = 2, .interpreters = 1}});
  EXPECT_EQ(get(pool.submit([](Worker& w) {
              w.exec(
                  "import concurrent.futures\n"
                  "threads = concurrent.futures.ThreadPoolExecutor(2)\n"
                  "result = threads.submit(abs, -3).result()\n");
              return w.eval<int>("result");
            })),
            3);
  const ExecutorReport report = pool.stop({});
  EXPECT_EQ(report.interpreters_left, 0U);
  EXPECT_EQ(runtime().interpreter_count(), 0U);
}

}  // namespace
}  // namespace interpool::test
