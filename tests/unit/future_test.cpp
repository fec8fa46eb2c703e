// Futures: taking the result, waiting, cancelling, continuing.
#include "support/busy.h"
#include "support/executors.h"
#include "support/pool.h"

#include <interpool/interpool.h>

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <deque>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

namespace interpool::test {
namespace {

using namespace std::chrono_literals;

class Futures : public WithOneWorker {};

TEST_F(Futures, GiveTheirResultOnce) {
  auto future = pool().call<int>("builtins:abs", -3);
  EXPECT_TRUE(future.valid());
  EXPECT_EQ(future.get(), 3);
  EXPECT_FALSE(future.valid());
  EXPECT_THROW(future.get(), UsageError);
  EXPECT_THROW((void)future.result(), UsageError);
  EXPECT_THROW(future.wait(), UsageError);
  EXPECT_THROW((void)future.wait_for(1ms), UsageError);
  EXPECT_THROW((void)future.wait_until(std::chrono::steady_clock::now()), UsageError);
  EXPECT_THROW((void)future.ready(), UsageError);
  EXPECT_THROW((void)future.cancel(), UsageError);
  EXPECT_THROW((void)future.then([](const Result<int>&) {}), UsageError);

  auto failing = pool().call<int>("interpool_probe:fail", "x");
  EXPECT_THROW(failing.get(), PythonError);
  EXPECT_FALSE(failing.valid());
  auto without_value = pool().call<void>("builtins:abs", 1);
  EXPECT_TRUE(without_value.result().has_value());
  EXPECT_THROW(without_value.get(), UsageError);
}

TEST_F(Futures, MoveAndLeaveNothingBehind) {
  Future<int> none;
  EXPECT_FALSE(none.valid());
  EXPECT_THROW(none.get(), UsageError);
  auto future = pool().call<int>("builtins:abs", -3);
  Future<int> moved = std::move(future);
  EXPECT_FALSE(future.valid());  // NOLINT(bugprone-use-after-move): that is the question
  EXPECT_THROW(future.wait(), UsageError);
  none = std::move(moved);
  EXPECT_EQ(none.get(), 3);
}

TEST_F(Futures, CarryMoveOnlyAndLargeValues) {
  auto pointer = pool().submit([] { return std::make_unique<int>(5); });
  EXPECT_EQ(*get(pointer), 5);
  auto from_move_only = pool().submit([p = std::make_unique<int>(6)] { return *p; });
  EXPECT_EQ(get(from_move_only), 6);
  struct alignas(64) Wide {
    std::array<double, 100> data{};
  };
  EXPECT_EQ(get(pool().submit([] { return Wide{}; })).data[99], 0.0);
}

TEST_F(Futures, WaitForAnEndOrForTheResult) {
  BusyTask busy(pool());
  auto future = pool().call<int>("builtins:abs", -3);
  EXPECT_FALSE(future.ready());
  EXPECT_FALSE(future.wait_for(0ms));
  EXPECT_FALSE(future.wait_for(5ms));
  EXPECT_FALSE(future.wait_for(-5s));
  EXPECT_FALSE(future.wait_for(std::chrono::hours(-10'000'000)));
  EXPECT_FALSE(future.wait_for(std::chrono::milliseconds::min()));
  EXPECT_FALSE(future.wait_for(std::chrono::duration<double>(std::numeric_limits<double>::quiet_NaN())));
  EXPECT_FALSE(future.wait_until(std::chrono::steady_clock::time_point::min()));
  const auto soon = std::chrono::steady_clock::now() + 5ms;
  EXPECT_FALSE(future.wait_until(soon));
  EXPECT_GE(std::chrono::steady_clock::now(), soon);
  EXPECT_FALSE(future.wait_until(std::chrono::steady_clock::time_point::min()));
  busy.release();
  EXPECT_TRUE(future.wait_for(kPatience));
  EXPECT_TRUE(future.ready());
  EXPECT_TRUE(future.wait_for(0ms));
  EXPECT_TRUE(future.wait_until(std::chrono::steady_clock::time_point::min()));
  EXPECT_EQ(future.get(), 3);
}

TEST_F(Futures, WaitWithoutAnEndWhenTheTimeIsTheLargest) {
  BusyTask busy(pool());
  auto future = pool().call<int>("builtins:abs", -3);
  std::thread releaser([&] { busy.release(); });
  EXPECT_TRUE(future.wait_for(std::chrono::milliseconds::max()));
  releaser.join();
  BusyTask again(pool());
  auto second = pool().call<int>("builtins:abs", -3);
  std::thread second_releaser([&] { again.release(); });
  EXPECT_TRUE(second.wait_for(std::chrono::hours::max()));
  second_releaser.join();
  EXPECT_TRUE(second.wait_until(std::chrono::steady_clock::time_point::max()));
}

TEST_F(Futures, WakeEveryoneWhoWaits) {
  BusyTask busy(pool());
  std::vector<Future<int>> futures;
  for (int i = 0; i < 8; ++i) futures.push_back(pool().call<int>("builtins:abs", -i));
  std::atomic<int> sum = 0;
  std::vector<std::thread> threads;
  threads.reserve(futures.size());
  for (auto& future : futures) threads.emplace_back([&] { sum += get(future); });
  busy.release();
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(sum, 28);
}

TEST_F(Futures, CancelOnlyWhatHasNotStarted) {
  const TaskCounts before = pool().counts();
  BusyTask busy(pool());
  EXPECT_FALSE(busy.future().cancel()) << "it runs";
  bool ran = false;
  auto queued = pool().with({.name = "queued"}).submit([&] { ran = true; });
  EXPECT_TRUE(queued.cancel());
  EXPECT_TRUE(queued.ready()) << "while the worker is busy";
  EXPECT_FALSE(queued.cancel()) << "a second time";
  EXPECT_EQ(error_of<CancelledError>(std::move(queued)).task(), "queued");
  busy.release();
  get(busy.future());
  auto done = pool().call<int>("builtins:abs", -3);
  done.wait();
  EXPECT_FALSE(done.cancel());
  EXPECT_EQ(get(done), 3);
  EXPECT_FALSE(ran);
  EXPECT_EQ(pool().counts().cancelled - before.cancelled, 1U);
}

TEST_F(Futures, CancelDestroysTheCallableInTheCall) {
  BusyTask busy(pool());
  Mortal callable;
  const auto record = callable.record();
  auto queued = pool().submit([m = std::move(callable)] {});
  EXPECT_FALSE(record->died.is_set());
  EXPECT_TRUE(queued.cancel());
  EXPECT_TRUE(record->died.is_set());
  EXPECT_EQ(record->thread, std::this_thread::get_id());
}

TEST_F(Futures, CanBeDropped) {
  BusyTask busy(pool());
  Event ran;
  (void)pool().submit([&] { ran.set(); });
  (void)pool().call<std::string>("builtins:str", 1);
  {
    auto dropped = pool().call<int>("interpool_probe:fail", "unseen");
  }
  busy.release();
  ran.wait();
}

TEST_F(Futures, OutliveTheirExecutor) {
  Future<int> value;
  Future<int> failure;
  Future<int> never;
  std::optional<Future<std::string>> continued;
  {
    SubinterpreterExecutor other(runtime(), {.pooled = {.threads = 1}});
    value = other.call<int>("builtins:abs", -3);
    failure = other.call<int>("interpool_probe:fail", "x");
    failure.wait();
    BusyTask busy(other);
    never = other.call<int>("builtins:abs", -4);
    continued = other.call<int>("builtins:abs", -5).then([](Result<int> r) {
      return std::string(r ? "value" : to_string(r.error().code()));
    });
    other.close();
    other.cancel_queued();
  }
  EXPECT_EQ(value.get(), 3);
  EXPECT_THROW(failure.get(), PythonError);
  EXPECT_THROW(never.get(), CancelledError);
  EXPECT_EQ(get(*continued), "cancelled");
}

TEST_F(Futures, ThenRunsOnTheCallbackThreadWithoutAGil) {
  auto first = pool().call<int>("builtins:abs", -3);
  Event release;
  auto blocker = pool().call<int>("builtins:abs", -1).then([&](const Result<int>&) { release.wait(); });
  struct Seen {
    std::thread::id thread;
    bool gil;
    int value;
  };
  auto next =
      first.then([](Result<int> r) { return Seen{std::this_thread::get_id(), holds_gil(), r.value()}; });
  EXPECT_FALSE(first.valid());
  auto other = pool().submit([] { return std::this_thread::get_id(); });
  release.set();
  const Seen seen = get(next);
  EXPECT_EQ(seen.value, 3);
  EXPECT_FALSE(seen.gil);
  EXPECT_NE(seen.thread, std::this_thread::get_id());
  EXPECT_NE(seen.thread, get(other));
  auto again = pool().call<int>("builtins:abs", -1).then([](const Result<int>&) {
    return std::this_thread::get_id();
  });
  EXPECT_EQ(get(again), seen.thread) << "there is one such thread";
  get(blocker);
}

TEST_F(Futures, ThenNeverRunsInsideItsCall) {
  auto ready = pool().call<int>("builtins:abs", -3);
  ready.wait();
  Event returned;
  auto next = ready.then([&](const Result<int>&) { returned.wait(); });
  returned.set();
  get(next);
}

TEST_F(Futures, ThenOnAPoolRunsOnItsWorkersWithoutTheirGil) {
  auto next = pool().call<int>("builtins:abs", -3).then(pool(), [](Result<int> r) {
    return std::tuple(std::this_thread::get_id(), holds_gil(), r.value());
  });
  const auto worker = get(pool().submit([] { return std::this_thread::get_id(); }));
  EXPECT_EQ(get(next), std::tuple(worker, false, 3));
}

TEST_F(Futures, ThenOnAPoolIgnoresItsFullQueue) {
  SubinterpreterExecutor small(runtime(), {.pooled = {.threads = 1}, .queue_capacity = 1});
  auto ready = small.call<int>("builtins:abs", -3);
  ready.wait();
  BusyTask busy(small);
  auto filler = small.call<int>("builtins:abs", -1);
  auto next = ready.then(small, [](Result<int> r) { return r.value(); });
  busy.release();
  EXPECT_EQ(get(next), 3);
  EXPECT_EQ(get(filler), 1);
}

TEST_F(Futures, ThenOnAPoolThatIsGoneIsRefused) {
  auto other = std::make_unique<SubinterpreterExecutor>(runtime(), ExecutorOptions{.pooled = {.threads = 1}});
  BusyTask busy(pool());
  auto first = pool().call<int>("builtins:abs", -3);
  Mortal callable;
  const auto record = callable.record();
  auto next = first.then(*other, [m = std::move(callable)](const Result<int>&) { return 1; });
  other.reset();
  busy.release();
  EXPECT_THROW(get(next), ShutdownError);
  EXPECT_TRUE(record->died.is_set());
}

TEST_F(Futures, AContinuationThatOnlyTheWaiterCouldRunIsADeadlock) {
  SubinterpreterExecutor other(runtime(), {.pinned_workers = 1});
  auto next = get(other.submit([&] {
    auto on_us = pool().call<int>("builtins:abs", -3).then(other, [](Result<int> r) { return r.value(); });
    EXPECT_THROW(on_us.wait(), DeadlockError);
    return on_us;
  }));
  EXPECT_EQ(get(next), 3);
}

TEST_F(Futures, ChainsPassValuesAndErrorsOn) {
  auto chain = pool()
                   .call<int>("builtins:abs", -3)
                   .then([](Result<int> r) { return r.value() + 1; })
                   .then(pool(), [](Result<int> r) { return std::to_string(r.value()); })
                   .then([](Result<std::string> r) { return r.value() + "!"; });
  EXPECT_EQ(get(chain), "4!");
  auto failing = pool()
                     .call<int>("interpool_probe:fail", "first")
                     .then([](Result<int> r) { return r.value(); })
                     .then([](Result<int> r) { return r ? 0 : r.value(); });
  EXPECT_EQ(error_of<PythonError>(std::move(failing)).python_message(), "first");
  auto saved =
      pool().call<int>("interpool_probe:fail", "x").then([](const Result<int>& r) { return r ? 1 : 2; });
  EXPECT_EQ(get(saved), 2);
  auto of_void = pool().call<void>("builtins:abs", 1).then([](Result<void> r) { return r.has_value(); });
  EXPECT_TRUE(get(of_void));
}

TEST_F(Futures, AContinuationThatIsGivenUpSettlesItsFuture) {
  SubinterpreterExecutor own(runtime(), {.pinned_workers = 1});
  Event running;
  Event finish;
  auto next = own.call<int>("builtins:abs", -3).then(own, [&](const Result<int>&) {
    running.set();
    finish.wait();
    return std::string("too late");
  });
  running.wait();
  const ExecutorReport report = own.stop({.timeout = std::chrono::milliseconds(1)});
  EXPECT_EQ(report.abandoned.size(), 1U);
  EXPECT_THROW(get(next), AbandonedError);
  finish.set();
  wait_for_interpreters(1);  // the suite's own
  take_log();
}

TEST_F(Futures, AContinuationThatThrowsFailsItsFuture) {
  auto next = pool().call<int>("builtins:abs", -3).then([](const Result<int>&) -> int {
    throw std::out_of_range("mine");
  });
  EXPECT_THROW(get(next), std::out_of_range);
  auto library =
      pool().call<int>("builtins:abs", -3).then([](const Result<int>&) { throw QueueFullError("mine"); });
  EXPECT_THROW(get(library), QueueFullError);
}

TEST_F(Futures, AContinuationCanBeCancelledBeforeItRuns) {
  BusyTask busy(pool());
  Mortal callable;
  const auto record = callable.record();
  auto next =
      pool().call<int>("builtins:abs", -3).then([m = std::move(callable)](const Result<int>&) { return 1; });
  EXPECT_TRUE(next.cancel());
  EXPECT_TRUE(record->died.is_set());
  EXPECT_THROW(get(next), CancelledError);
  busy.release();
}

TEST_F(Futures, AContinuationCanBeCancelledWhileItsExecutorHoldsIt) {
  ManualExecutor manual;
  auto next = pool().call<int>("builtins:abs", -3).then(manual, [](const Result<int>&) { return 1; });
  wait_until([&] { return manual.size() == 1; });
  EXPECT_TRUE(next.cancel());
  EXPECT_THROW(get(next), CancelledError);
  manual.run_one();  // runs nothing
}

TEST_F(Futures, AnExecutorThatRefusesSettlesTheFuture) {
  ManualExecutor manual;
  Mortal callable;
  const auto record = callable.record();
  auto dropped =
      pool().call<int>("builtins:abs", -3).then(manual, [m = std::move(callable)](const Result<int>&) {
        return 1;
      });
  manual.drop_one();
  EXPECT_TRUE(record->died.is_set());
  EXPECT_THROW(get(dropped), ShutdownError);
  ThrowingExecutor throwing;
  auto refused = pool().call<int>("builtins:abs", -3).then(throwing, [](const Result<int>&) { return 1; });
  EXPECT_THROW(get(refused), ShutdownError);
  SubinterpreterExecutor closed(runtime(), {.pooled = {.threads = 1}});
  closed.close();
  auto late = pool().call<int>("builtins:abs", -3).then(closed, [](const Result<int>&) { return 1; });
  EXPECT_THROW(get(late), ShutdownError);
}

TEST_F(Futures, AnExecutorIsCalledWithoutAGil) {
  ManualExecutor manual;
  auto next = pool().call<int>("builtins:abs", -3).then(manual, [](Result<int> r) { return r.value(); });
  manual.run_one();
  EXPECT_EQ(get(next), 3);
  EXPECT_FALSE(manual.held_gil()) << "it is called by the worker that settled the future";
  auto inside = pool().submit([&](Worker&) {
    auto ready = pool().main().call<int>("builtins:abs", -1);
    ready.wait();
    (void)ready.then(manual, [](const Result<int>&) {});
    return holds_gil();
  });
  EXPECT_TRUE(get(inside)) << "the task has its GIL back";
  manual.run_one();
  EXPECT_FALSE(manual.held_gil());
}

TEST_F(Futures, WaitingInATaskGivesItsGilToOthers) {
  // Two threads of one interpreter: the second task runs while the first waits for it.
  SubinterpreterExecutor shared(runtime(), {.pooled = {.threads = 2, .interpreters = 1}});
  auto outer = shared.submit([&](Worker& worker) {
    const int inner = get(shared.call<int>("builtins:abs", -3));
    return inner + worker.eval<int>("1");
  });
  EXPECT_EQ(get(outer), 4);
}

TEST_F(Futures, AContinuationOfWhatOnlyTheWaiterCanRunIsADeadlock) {
  auto outer = pool().submit([&] {
    auto once = pool().call<int>("builtins:abs", -3).then([](Result<int> r) { return r.value(); });
    EXPECT_THROW((void)once.get(), DeadlockError);
    auto twice = once.then([](Result<int> r) { return r.value(); });
    EXPECT_THROW(twice.wait(), DeadlockError);
    return twice;
  });
  auto inner = get(outer);
  EXPECT_EQ(get(inner), 3) << "elsewhere it can be waited for";
}

TEST_F(Futures, AWorkerMayWaitForTheContinuationOfWhatItHasRun) {
  Event go;
  auto next = pool().call<int>("builtins:abs", -3).then([&](Result<int> r) {
    go.wait();
    return r.value();
  });
  Event started;
  auto waits = pool().submit([&] {
    started.set();
    return get(next);
  });
  started.wait();
  go.set();
  EXPECT_EQ(get(waits), 3);
}

TEST_F(Futures, AWorkerMayWaitForAChainOfWhatItHasRun) {
  Event go;
  auto next = pool()
                  .call<int>("builtins:abs", -3)
                  .then([&](Result<int> r) {
                    go.wait();
                    return r.value();
                  })
                  .then([](Result<int> r) { return r.value(); });
  Event started;
  auto waits = pool().submit([&] {
    started.set();
    return next.get();
  });
  started.wait();
  go.set();
  EXPECT_EQ(get(waits), 3);
}

TEST_F(Futures, DropOfAContinuationRunsItStill) {
  Event ran;
  (void)pool().call<int>("builtins:abs", -3).then([&](const Result<int>&) { ran.set(); });
  ran.wait();
}

}  // namespace
}  // namespace interpool::test
