// The queue of an executor: bounds, deadlines, cancellation, map, and what cannot be waited for.
#include "support/busy.h"
#include "support/runtime.h"
#include "support/sync.h"

#include <interpool/interpool.h>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <limits>
#include <list>
#include <memory>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace interpool::test {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

class Queue : public testing::Test {
 protected:
  void TearDown() override {
    EXPECT_EQ(runtime().interpreter_count(), 0U);
    take_log();
  }
  static ExecutorOptions one_worker(std::size_t capacity, WhenFull when_full = WhenFull::kBlock) {
    return {.name = "queue", .pooled = {.threads = 1}, .queue_capacity = capacity, .when_full = when_full};
  }
};

/// Fills a queue whose only worker is busy.
std::vector<Future<int>> fill(const Submitter& lane, std::size_t capacity) {
  std::vector<Future<int>> futures;
  for (std::size_t i = 0; i < capacity; ++i) futures.push_back(lane.call<int>("builtins:abs", i));
  return futures;
}

// --- options -------------------------------------------------------------------------------------

TEST_F(Queue, OptionsAreCheckedAndNamed) {
  const auto refusal = [](const ExecutorOptions& options) {
    return error_of<UsageError>([&] { return std::make_unique<SubinterpreterExecutor>(runtime(), options); })
        .message();
  };
  const auto names = [&](const ExecutorOptions& options, const std::string& option) {
    const std::string message = refusal(options);
    return message.find(option) != std::string::npos ? testing::AssertionSuccess()
                                                     : testing::AssertionFailure() << message;
  };
  EXPECT_TRUE(names({.pooled = {.threads = 2, .interpreters = 3}}, "pooled.interpreters"));
  EXPECT_TRUE(names({.pooled = {.threads = 0, .interpreters = 3}}, "pooled.interpreters"));
  EXPECT_TRUE(
      names({.pinned_workers = 1, .pooled = {.threads = 0, .interpreters = 1}}, "pooled.interpreters"));
  EXPECT_TRUE(names({.pinned_workers = 1'000'000}, "pinned_workers"));
  EXPECT_TRUE(names({.pooled = {.threads = 1'000'000}}, "pooled.threads"));
  EXPECT_TRUE(names({.queue_capacity = 0}, "queue_capacity"));
  EXPECT_TRUE(names({.preload = {""}}, "preload"));
  EXPECT_TRUE(names({.preload = {"json", "json:dumps"}}, "json:dumps"));
  EXPECT_TRUE(names({.preload = {"two words"}}, "two words"));
  EXPECT_TRUE(names({.spin = -1us}, "spin"));
  EXPECT_TRUE(names({.spin = 1h}, "spin"));
  EXPECT_TRUE(names({.stop_timeout = -1ms}, "stop_timeout"));

  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1});
  EXPECT_THROW((void)pool.pinned(1), UsageError);
  EXPECT_THROW((void)pool.with({.timeout = 1s, .deadline = Clock::now() + 1s}), UsageError);
  EXPECT_THROW((void)pool.function<int(int)>("builtins:abs").with({.timeout = 1s, .deadline = Clock::now()}),
               UsageError);
}

// --- capacity ------------------------------------------------------------------------------------

TEST_F(Queue, ARejectingExecutorSaysThatItIsFull) {
  SubinterpreterExecutor pool(runtime(), one_worker(3, WhenFull::kReject));
  BusyTask busy(pool);
  auto queued = fill(pool, 3);
  Mortal callable;
  const auto record = callable.record();
  EXPECT_THROW((void)pool.submit([m = std::move(callable)] {}), QueueFullError);
  EXPECT_TRUE(record->died.is_set()) << "nothing of it is kept";
  EXPECT_EQ(error_of<QueueFullError>([&] {
              return pool.with({.name = "late"}).call<int>("builtins:abs", 1);
            }).task(),
            "late");
  EXPECT_EQ(pool.counts().accepted, 4U) << "the running one and three";
  busy.release();
  for (auto& future : queued) EXPECT_GE(get(future), 0);
  EXPECT_EQ(get(pool.call<int>("builtins:abs", -7)), 7) << "there is room again";
}

TEST_F(Queue, TrySubmitNeitherWaitsNorThrows) {
  SubinterpreterExecutor pool(runtime(), one_worker(1));
  BusyTask busy(pool);
  Result<Future<int>> first = pool.try_submit([] { return 1; });
  ASSERT_TRUE(first.has_value());
  Result<Future<int>> second = pool.try_submit([] { return 2; });
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code(), ErrorCode::kQueueFull);
  busy.release();
  EXPECT_EQ(get(std::move(first).value()), 1);
  pool.close();
  EXPECT_EQ(pool.try_submit([] { return 3; }).error().code(), ErrorCode::kShutdown);
}

TEST_F(Queue, EachQueueHasItsOwnCapacity) {
  SubinterpreterExecutor pool(
      runtime(),
      {.pinned_workers = 2, .pooled = {.threads = 1}, .queue_capacity = 1, .when_full = WhenFull::kReject});
  std::list<BusyTask> busy;
  std::list<Future<int>> queued;
  for (const Submitter& lane : std::vector<Submitter>{pool.pinned(0), pool.pinned(1), pool, pool.main()}) {
    busy.emplace_back(lane);
    queued.push_back(lane.call<int>("builtins:abs", -1));
    EXPECT_THROW((void)lane.call<int>("builtins:abs", -1), QueueFullError);
  }
  for (BusyTask& task : busy) task.release();
  for (auto& future : queued) EXPECT_EQ(get(future), 1);
}

TEST_F(Queue, ABlockedSubmitterIsFreedByRoom) {
  SubinterpreterExecutor pool(runtime(), one_worker(2));
  BusyTask busy(pool);
  auto queued = fill(pool, 2);
  Event submitted;
  SleepingThread submitter([&] {
    auto future = pool.call<int>("builtins:abs", -9);
    submitted.set();
    EXPECT_EQ(get(future), 9);
  });
  submitter.wait_until_asleep();
  EXPECT_EQ(pool.counts().accepted, 3U);
  EXPECT_FALSE(submitted.is_set());
  busy.release();
  submitted.wait();
  submitter.join();
}

TEST_F(Queue, ABlockedSubmitterIsFreedByACancelledTask) {
  SubinterpreterExecutor pool(runtime(), one_worker(1));
  BusyTask busy(pool);
  auto queued = pool.call<int>("builtins:abs", -1);
  Event submitted;
  SleepingThread submitter([&] {
    auto future = pool.call<int>("builtins:abs", -9);
    submitted.set();
    EXPECT_EQ(get(future), 9);
  });
  submitter.wait_until_asleep();
  EXPECT_TRUE(queued.cancel());
  submitted.wait();
  EXPECT_FALSE(busy.future().ready());
  busy.release();
  submitter.join();
}

TEST_F(Queue, RoomOnTheMainLaneGoesToASubmitterForWhomItIsRoom) {
  SubinterpreterExecutor small(runtime(), one_worker(1));
  SubinterpreterExecutor large(runtime(), one_worker(2));
  BusyTask busy(large.main());
  auto first = large.main().call<int>("builtins:abs", -1);
  auto second = large.main().call<int>("builtins:abs", -2);
  SleepingThread for_small([&] { EXPECT_EQ(get(small.main().call<int>("builtins:abs", -3)), 3); });
  for_small.wait_until_asleep();
  std::optional<Future<int>> third;
  Event accepted;
  SleepingThread for_large([&] {
    third = large.main().call<int>("builtins:abs", -4);
    accepted.set();
  });
  for_large.wait_until_asleep();
  EXPECT_TRUE(second.cancel()) << "one task waits now: a full queue for the one, room for the other";
  accepted.wait();
  busy.release();
  EXPECT_EQ(get(*third), 4);
  for_small.join();
}

TEST_F(Queue, ABlockedSubmitterIsFreedByItsDeadline) {
  SubinterpreterExecutor pool(runtime(), one_worker(1));
  BusyTask busy(pool);
  auto queued = fill(pool, 1);
  Mortal callable;
  const auto record = callable.record();
  const auto limited = pool.with({.name = "hurry", .timeout = 10ms});
  const auto error = error_of<TimeoutError>([&] { return limited.submit([m = std::move(callable)] {}); });
  EXPECT_EQ(error.task(), "hurry");
  EXPECT_TRUE(record->died.is_set());
  EXPECT_THROW((void)pool.with({.deadline = Clock::now() - 1s}).call<int>("builtins:abs", 1), TimeoutError);
  EXPECT_FALSE(busy.future().ready());
}

TEST_F(Queue, BlockedSubmittersAreFreedByClose) {
  SubinterpreterExecutor pool(runtime(),
                              {.pinned_workers = 1, .pooled = {.threads = 1}, .queue_capacity = 1});
  BusyTask pooled(pool);
  BusyTask pinned(pool.pinned(0));
  BusyTask main(pool.main());
  const std::vector<Submitter> lanes{pool, pool.pinned(0), pool.main()};
  std::vector<Future<int>> queued;
  for (const Submitter& lane : lanes) queued.push_back(lane.call<int>("builtins:abs", -1));
  std::atomic<int> refused = 0;
  std::list<SleepingThread> submitters;
  for (const Submitter& lane : lanes) {
    for (int i = 0; i < 2; ++i) {
      submitters.emplace_back([&refused, lane] {
        try {
          (void)lane.call<int>("builtins:abs", -9);
        } catch (const ShutdownError&) {
          ++refused;
        }
      });
    }
  }
  for (const auto& thread : submitters) thread.wait_until_asleep();
  pool.close();
  for (auto& thread : submitters) thread.join();
  EXPECT_EQ(refused, 6);
  EXPECT_THROW((void)pool.call<int>("builtins:abs", 1), ShutdownError);
  EXPECT_THROW((void)pool.submit([] {}), ShutdownError);
  EXPECT_THROW((void)pool.main().submit([] {}), ShutdownError);
  pooled.release();
  pinned.release();
  main.release();
  for (auto& future : queued) EXPECT_EQ(get(future), 1) << "what was accepted goes on";
}

TEST_F(Queue, ManyThreadsSubmitAtOnceThroughASmallQueue) {
  SubinterpreterExecutor pool(runtime(), {.pooled = {.threads = 2}, .queue_capacity = 3});
  constexpr int kThreads = 8;
  constexpr int kEach = 200;
  std::atomic<long> sum = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      const auto magnitude = pool.function<int(int)>("builtins:abs");
      std::vector<Future<int>> futures;
      for (int i = 0; i < kEach; ++i) futures.push_back(magnitude(-i));
      for (auto& future : futures) sum += get(future);
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(sum, long{kThreads} * kEach * (kEach - 1) / 2);
  const TaskCounts counts = pool.counts();
  EXPECT_EQ(counts.accepted, std::uint64_t{kThreads} * kEach);
  EXPECT_EQ(counts.completed, counts.accepted);
}

// --- what would wait for itself --------------------------------------------------------------------

TEST_F(Queue, ATaskThatFillsItsOwnQueueGetsAnError) {
  SubinterpreterExecutor pool(runtime(), one_worker(2));
  auto outer = pool.submit([&] {
    auto queued = fill(pool, 2);
    Mortal callable;
    const auto record = callable.record();
    EXPECT_THROW((void)pool.submit([m = std::move(callable)] {}), DeadlockError);
    EXPECT_TRUE(record->died.is_set());
    EXPECT_THROW((void)pool.with({.timeout = 1h}).submit([] {}), DeadlockError);
    EXPECT_FALSE(pool.try_submit([] {}).has_value()) << "which tells without an error";
    for (auto& future : queued) EXPECT_TRUE(future.cancel());
    return pool.try_submit([] {}).has_value();
  });
  EXPECT_TRUE(get(outer));
}

TEST_F(Queue, ATaskMayWaitForRoomInAnotherExecutor) {
  SubinterpreterExecutor pool(runtime(), one_worker(1));
  SubinterpreterExecutor other(runtime(), one_worker(1));
  auto outer = pool.submit([&] {
    int sum = 0;
    std::vector<Future<int>> futures;
    for (int i = 0; i < 50; ++i) futures.push_back(other.call<int>("builtins:abs", -i));
    for (auto& future : futures) sum += get(future);
    return sum;
  });
  EXPECT_EQ(get(outer), 1225);
}

TEST_F(Queue, WaitingForATaskThatOnlyTheWaiterCanRunIsAnError) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 2});
  SubinterpreterExecutor single(runtime(), one_worker(8));
  for (const Submitter& lane : std::vector<Submitter>{pool.pinned(1), single, pool.main()}) {
    auto outer = lane.submit([&] {
      auto inner = lane.with({.name = "inner"}).call<int>("builtins:abs", -1);
      EXPECT_THROW(inner.wait(), DeadlockError);
      EXPECT_TRUE(inner.valid()) << "the error took nothing";
      EXPECT_THROW(inner.get(), DeadlockError);
      EXPECT_EQ(error_of<DeadlockError>([&] { return inner.result(); }).task(), "inner");
      EXPECT_FALSE(inner.wait_for(1ms)) << "a wait with an end may be tried";
      return inner;
    });
    auto inner = get(outer);
    EXPECT_EQ(get(inner), 1) << "it runs afterwards";
  }
}

TEST_F(Queue, WaitingForATaskThatAnotherCanRunIsNone) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 2});
  auto outer = pool.pinned(0).submit([&] {
    return get(pool.pinned(1).call<int>("builtins:abs", -1)) + get(pool.call<int>("builtins:abs", -2)) +
           get(pool.main().call<int>("builtins:abs", -3));
  });
  EXPECT_EQ(get(outer), 6);
}

TEST_F(Queue, WaitingForAMapThatOnlyTheWaiterCanRunIsAnError) {
  SubinterpreterExecutor single(runtime(), one_worker(8));
  auto outer = single.submit([&] {
    auto map = single.map<int>("builtins:abs", std::vector<int>{-1, -2});
    map.wait();
  });
  // Where it hangs instead, let it go.
  const bool ended = outer.wait_for(10s);
  if (!ended) single.cancel_queued();
  EXPECT_TRUE(ended) << "the task hung";
  EXPECT_THROW(get(outer), DeadlockError);
}

TEST_F(Queue, SettledFuturesMayBeTakenAnywhere) {
  SubinterpreterExecutor single(runtime(), one_worker(8));
  auto inner = single.call<int>("builtins:abs", -1);
  inner.wait();
  EXPECT_EQ(get(single.submit([&] { return inner.get(); })), 1);
}

// --- deadlines -------------------------------------------------------------------------------------

TEST_F(Queue, ATaskWhoseDeadlinePassesInTheQueueNeverRuns) {
  SubinterpreterExecutor pool(runtime(), one_worker(8));
  BusyTask busy(pool);
  Mortal callable;
  const auto record = callable.record();
  std::atomic<bool> ran = false;
  auto late =
      pool.with({.name = "late", .timeout = 5ms}).submit([&, m = std::move(callable)] { ran = true; });
  ASSERT_TRUE(late.wait_for(kPatience)) << "it settles while the worker is busy";
  EXPECT_FALSE(busy.future().ready());
  EXPECT_TRUE(record->died.is_set()) << "before the future is ready";
  EXPECT_EQ(error_of<TimeoutError>(std::move(late)).task(), "late");
  auto at = pool.with({.deadline = Clock::now() + 5ms}).call<int>("builtins:abs", 1);
  EXPECT_THROW(get(at), TimeoutError);
  busy.release();
  get(busy.future());
  EXPECT_EQ(get(pool.call<int>("builtins:abs", -1)), 1);
  EXPECT_FALSE(ran);
  const TaskCounts counts = pool.counts();
  EXPECT_EQ(counts.timed_out, 2U);
  EXPECT_EQ(counts.completed, 2U);
}

TEST_F(Queue, DeadlinesPassInTheirOwnOrder) {
  SubinterpreterExecutor pool(runtime(), one_worker(100));
  BusyTask busy(pool);
  std::vector<Future<int>> futures;
  const auto now = Clock::now();
  for (int i = 0; i < 50; ++i) {
    const auto deadline = i % 2 == 0 ? now + std::chrono::milliseconds(50 - i) : now + 1h;
    futures.push_back(pool.with({.deadline = deadline}).call<int>("builtins:abs", -i));
  }
  for (std::size_t i = 0; i < futures.size(); i += 2) EXPECT_THROW(get(futures[i]), TimeoutError);
  busy.release();
  for (std::size_t i = 1; i < futures.size(); i += 2) EXPECT_EQ(get(futures[i]), static_cast<int>(i));
}

TEST_F(Queue, ADeadlineThatIsMetChangesNothing) {
  SubinterpreterExecutor pool(runtime(), one_worker(8));
  EXPECT_EQ(get(pool.with({.timeout = 1h}).call<int>("builtins:abs", -1)), 1);
  EXPECT_EQ(get(pool.with({.timeout = std::chrono::nanoseconds::max()}).call<int>("builtins:abs", -1)), 1);
  EXPECT_EQ(get(pool.with({.deadline = Clock::time_point::max()}).call<int>("builtins:abs", -1)), 1);
}

TEST_F(Queue, ATaskThatHasStartedRunsBeyondItsDeadline) {
  SubinterpreterExecutor pool(runtime(), one_worker(8));
  get(pool.call<int>("builtins:abs", -1));  // the interpreter exists: the next task starts at once
  for (;;) {
    const auto deadline = Clock::now() + 1s;
    auto running = pool.with({.deadline = deadline}).submit([&] {
      while (Clock::now() <= deadline) std::this_thread::yield();
      return 5;
    });
    const auto outcome = result(running);
    if (!outcome) continue;  // it did not even start in that second
    EXPECT_EQ(*outcome, 5);
    break;
  }
}

TEST_F(Queue, ATaskWhoseDeadlineHasPassedNeverStarts) {
  SubinterpreterExecutor pool(runtime(), one_worker(2000));
  get(pool.call<int>("builtins:abs", -1));
  std::atomic<int> ran = 0;
  std::vector<Future<void>> futures;
  for (int i = 0; i < 1000; ++i) {
    futures.push_back(pool.with({.deadline = Clock::now() - 1ms}).submit([&] { ++ran; }));
    futures.push_back(pool.with({.timeout = 0ns}).submit([&] { ++ran; }));
  }
  for (auto& future : futures) EXPECT_THROW(get(future), TimeoutError);
  EXPECT_EQ(ran, 0);
}

// --- life and death of the work ----------------------------------------------------------------------

TEST_F(Queue, ACallableDiesOnItsWorkerBeforeItsFutureIsReady) {
  SubinterpreterExecutor pool(runtime(), one_worker(8));
  for (int i = 0; i < 200; ++i) {
    Mortal callable;
    const auto record = callable.record();
    auto future = pool.submit([m = std::move(callable), i] {
      if (i % 2 == 1) throw std::runtime_error("odd");
      return std::this_thread::get_id();
    });
    const auto outcome = result(future);
    EXPECT_TRUE(record->died.is_set());
    if (outcome) {
      EXPECT_EQ(record->thread, *outcome);
    }
  }
}

/// An argument that tells of its death.
struct MortalArgument {
  Mortal mortal;
};

}  // namespace
}  // namespace interpool::test

template <>
struct interpool::Converter<interpool::test::MortalArgument> {
  static void encode(Encoder& out, const test::MortalArgument& /*value*/) { out.put_int(-1); }
};

namespace interpool::test {
namespace {

TEST_F(Queue, ArgumentsDieLikeCallables) {
  SubinterpreterExecutor pool(runtime(), one_worker(8));
  const auto worker = get(pool.submit([] { return std::this_thread::get_id(); }));
  for (int i = 0; i < 100; ++i) {
    MortalArgument argument;
    const auto record = argument.mortal.record();
    auto future = pool.call<int>(i % 2 == 0 ? "builtins:abs" : "interpool_probe:fail", std::move(argument));
    future.wait();
    EXPECT_TRUE(record->died.is_set());
    EXPECT_EQ(record->thread, worker);
  }
  BusyTask busy(pool);
  MortalArgument argument;
  const auto record = argument.mortal.record();
  auto queued = pool.call<int>("builtins:abs", std::move(argument));
  EXPECT_TRUE(queued.cancel());
  EXPECT_TRUE(record->died.is_set());
  EXPECT_EQ(record->thread, std::this_thread::get_id());
}

TEST_F(Queue, AResultNobodyTookDiesWithItsFuture) {
  SubinterpreterExecutor pool(runtime(), one_worker(8));
  Mortal value;
  const auto record = value.record();
  {
    auto future = pool.submit([m = std::move(value)]() mutable { return std::move(m); });
    future.wait();
    EXPECT_FALSE(record->died.is_set());
  }
  record->died.wait();
  Mortal dropped;
  const auto dropped_record = dropped.record();
  (void)pool.submit([m = std::move(dropped)]() mutable { return std::move(m); });
  dropped_record->died.wait();
}

// --- names -------------------------------------------------------------------------------------------

TEST_F(Queue, TasksHaveTheNameTheyWereGivenOrTheirFunctions) {
  SubinterpreterExecutor pool(runtime(), one_worker(8));
  EXPECT_EQ(error_of<PythonError>(pool.call<int>("interpool_probe:fail", "x")).task(),
            "interpool_probe:fail");
  EXPECT_EQ(error_of<PythonError>(pool.with({.name = "mine"}).call<int>("interpool_probe:fail", "x")).task(),
            "mine");
  BusyTask busy(pool);
  auto unnamed = pool.submit([] {});
  auto named = pool.with({.name = "mine"}).submit([] {});
  auto function = pool.call<int>("builtins:abs", 1);
  std::thread releaser([&] {
    unnamed.wait();  // cancelled by stop()
    busy.release();
  });
  EXPECT_EQ(pool.stop({}).cancelled, (std::vector<std::string>{"", "mine", "builtins:abs"}));
  releaser.join();
}

// --- map ---------------------------------------------------------------------------------------------

TEST_F(Queue, MapKeepsTheOrderOfItsItems) {
  SubinterpreterExecutor pool(runtime(), {.pooled = {.threads = 2}});
  std::vector<std::string> words;
  std::vector<std::size_t> lengths;
  for (std::size_t i = 0; i < 300; ++i) {
    words.emplace_back(i % 17, 'x');
    lengths.push_back(i % 17);
  }
  EXPECT_EQ(get(pool.map<std::size_t>("builtins:len", words)), lengths);
  EXPECT_EQ(get(pool.map<int>("builtins:abs", std::list<int>{-1, -2})), (std::vector<int>{1, 2}));
  EXPECT_EQ(get(pool.map<int>("builtins:abs", std::views::iota(-3, 0))), (std::vector<int>{3, 2, 1}));
  const char* const literals[] = {"a", "bb"};
  EXPECT_EQ(get(pool.map<int>("builtins:len", literals)), (std::vector<int>{1, 2}));
  EXPECT_EQ(get(pool.main().map<int>("builtins:abs", std::vector<int>{-1})), std::vector<int>{1});
}

TEST_F(Queue, MapOfNothingIsReady) {
  SubinterpreterExecutor pool(runtime(), one_worker(8));
  auto none = pool.map<int>("builtins:abs", std::vector<int>{});
  EXPECT_TRUE(none.ready());
  EXPECT_EQ(get(none), std::vector<int>{});
  EXPECT_EQ(runtime().interpreter_count(), 0U);
}

TEST_F(Queue, MapFailsWithTheFirstItemThatFailed) {
  SubinterpreterExecutor pool(runtime(), {.pooled = {.threads = 2}});
  for (int round = 0; round < 20; ++round) {
    auto future = pool.map<int>("interpool_probe:fail_if_odd", std::vector<int>{2, 4, 7, 8, 9, 10});
    EXPECT_EQ(error_of<PythonError>(std::move(future)).python_message(), "7 is odd");
  }
}

TEST_F(Queue, CancellingAMapCancelsWhatHasNotStarted) {
  SubinterpreterExecutor pool(runtime(), one_worker(8));
  BusyTask busy(pool);
  auto future = pool.map<int>("builtins:abs", std::vector<int>{-1, -2, -3});
  EXPECT_FALSE(future.ready());
  EXPECT_TRUE(future.cancel());
  EXPECT_THROW(get(future), CancelledError);
  EXPECT_EQ(pool.counts().cancelled, 3U);
  busy.release();
  get(busy.future());
  EXPECT_EQ(pool.counts().completed, 1U);
}

TEST_F(Queue, ADroppedMapRunsStill) {
  SubinterpreterExecutor pool(runtime(), one_worker(8));
  (void)pool.map<int>("builtins:abs", std::vector<int>{-1, -2, -3});
  EXPECT_TRUE(pool.drain(kPatience));
  EXPECT_EQ(pool.counts().completed, 3U);
}

TEST_F(Queue, AMapRefusedMidwayCancelsItsParts) {
  SubinterpreterExecutor pool(runtime(), one_worker(2, WhenFull::kReject));
  BusyTask busy(pool);
  EXPECT_THROW((void)pool.map<int>("builtins:abs", std::vector<int>{-1, -2, -3, -4, -5}), QueueFullError);
  EXPECT_EQ(pool.counts().cancelled, 2U);
  busy.release();
  get(busy.future());
  EXPECT_EQ(get(pool.map<int>("builtins:abs", std::vector<int>{-1, -2})), (std::vector<int>{1, 2}));
  pool.close();
  EXPECT_THROW((void)pool.map<int>("builtins:abs", std::vector<int>{-1}), ShutdownError);
  EXPECT_EQ(pool.counts().accepted, 5U);
}

TEST_F(Queue, AMapCanBeContinued) {
  SubinterpreterExecutor pool(runtime(), one_worker(8));
  auto sum = pool.map<int>("builtins:abs", std::vector<int>{-1, -2, -3}).then([](Result<std::vector<int>> r) {
    int total = 0;
    for (const int value : r.value()) total += value;
    return total;
  });
  EXPECT_EQ(get(sum), 6);
}

}  // namespace
}  // namespace interpool::test
