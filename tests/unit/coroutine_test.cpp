// Futures in coroutines: who resumes them, and what becomes of those that nobody does.
#include "support/coroutine.h"
#include "support/busy.h"
#include "support/executors.h"
#include "support/pool.h"

#include <interpool/interpool.h>

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <coroutine>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace interpool::test {
namespace {

using namespace std::chrono_literals;

/// One that its owner destroys, wherever it stands.
class Owned {
 public:
  struct promise_type {
    Owned get_return_object() { return Owned(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  ~Owned() { handle_.destroy(); }

 private:
  explicit Owned(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  std::coroutine_handle<promise_type> handle_;
};

/// What a coroutine has seen, for the test to look at once `done` is set.
template <class T>
struct Seen {
  std::optional<Result<T>> result;
  std::thread::id thread;
  bool gil = false;
  Event done;

  const Result<T>& wait() const {
    done.wait();
    return *result;
  }
};

template <class T>
void note(Seen<T>& seen, Result<T> result) {
  seen.result.emplace(std::move(result));
  seen.thread = std::this_thread::get_id();
  seen.gil = holds_gil();
  seen.done.set();
}

template <class T>
Detached await(Future<T> future, Seen<T>& seen) {
  try {
    if constexpr (std::is_void_v<T>) {
      co_await future;
      note(seen, Result<T>());
    } else {
      note(seen, Result<T>(co_await future));
    }
  } catch (const Error& error) {
    note(seen, Result<T>(error.share()));
  }
}
template <class T>
Detached await_on(Executor& executor, Future<T> future, Seen<T>& seen) {
  try {
    note(seen, Result<T>(co_await future.on(executor)));
  } catch (const Error& error) {
    note(seen, Result<T>(error.share()));
  }
}

class Coroutines : public WithOneWorker {};

TEST_F(Coroutines, GoOnWithTheValueOnTheCallbackThread) {
  BusyTask busy(pool());
  Seen<int> seen;
  await(pool().call<int>("builtins:abs", -3), seen);
  EXPECT_FALSE(seen.done.is_set());
  busy.release();
  EXPECT_EQ(seen.wait().value(), 3);
  EXPECT_FALSE(seen.gil);
  const auto callbacks = get(pool().call<int>("builtins:abs", 1).then([](const Result<int>&) {
    return std::this_thread::get_id();
  }));
  EXPECT_EQ(seen.thread, callbacks);
}

TEST_F(Coroutines, GetTheErrorOfTheTask) {
  Seen<int> failed;
  await(pool().call<int>("interpool_probe:fail", "mine"), failed);
  EXPECT_EQ(failed.wait().error().message(), "ValueError: mine");
  BusyTask busy(pool());
  Seen<int> cancelled;
  auto queued = pool().with({.name = "queued"}).call<int>("builtins:abs", 1);
  auto next = queued.then([](Result<int> r) { return r.value(); });
  EXPECT_TRUE(next.cancel());
  await(std::move(next), cancelled);
  EXPECT_EQ(cancelled.wait().error().code(), ErrorCode::kCancelled);
  Seen<void> nothing;
  await(pool().call<void>("builtins:abs", 1), nothing);
  busy.release();
  EXPECT_TRUE(nothing.wait().has_value());
}

TEST_F(Coroutines, MoveValuesOut) {
  Seen<std::unique_ptr<int>> seen;
  await(pool().submit([] { return std::make_unique<int>(5); }), seen);
  EXPECT_EQ(**seen.wait(), 5);
}

TEST_F(Coroutines, AwaitOnceAndOnlyATask) {
  Future<int> none;
  EXPECT_THROW((void)none.on(callback_executor()), UsageError);
  Event done;
  bool threw = false;
  bool valid = true;
  [](Future<int> future, Event& end, bool& usage_error, bool& left) -> Detached {
    (void)co_await future;
    left = future.valid();
    try {
      (void)co_await future;
    } catch (const UsageError&) {
      usage_error = true;
    }
    end.set();
  }(pool().call<int>("builtins:abs", -3), done, threw, valid);
  done.wait();
  EXPECT_TRUE(threw);
  EXPECT_FALSE(valid);
}

TEST_F(Coroutines, AreNeverResumedInsideTheAwait) {
  ManualExecutor manual;
  auto ready = pool().call<int>("builtins:abs", -3);
  ready.wait();
  Seen<int> seen;
  await_on(manual, std::move(ready), seen);
  EXPECT_FALSE(seen.done.is_set()) << "the result was there, but where it goes on is the executor's thread";
  manual.run_one();
  EXPECT_EQ(seen.wait().value(), 3);
  EXPECT_EQ(seen.thread, std::this_thread::get_id());
}

TEST_F(Coroutines, GoOnOnAPoolsWorkersWithoutTheirGil) {
  Seen<int> seen;
  await_on(pool(), pool().call<int>("builtins:abs", -3), seen);
  EXPECT_EQ(seen.wait().value(), 3);
  EXPECT_FALSE(seen.gil);
  EXPECT_EQ(seen.thread, get(pool().submit([] { return std::this_thread::get_id(); })));
}

TEST_F(Coroutines, StartedInATaskLeaveItsGilAlone) {
  ManualExecutor manual;
  Seen<int> seen;
  auto task = pool().submit([&](Worker&) {
    await_on(manual, pool().main().call<int>("builtins:abs", -1), seen);
    return holds_gil();
  });
  EXPECT_TRUE(get(task)) << "the task goes on where the coroutine is suspended";
  manual.run_one();
  EXPECT_EQ(seen.wait().value(), 1);
  EXPECT_FALSE(manual.held_gil());
}

TEST_F(Coroutines, ThatAnExecutorDropsAreResumedWithAShutdownError) {
  const auto callbacks = get(pool().call<int>("builtins:abs", 1).then([](const Result<int>&) {
    return std::this_thread::get_id();
  }));
  const auto expect_refused = [&](const Seen<int>& seen) {
    EXPECT_EQ(seen.wait().error().code(), ErrorCode::kShutdown);
    EXPECT_EQ(seen.thread, callbacks);
    EXPECT_FALSE(seen.gil);
  };
  ManualExecutor manual;
  Seen<int> dropped;
  await_on(manual, pool().with({.name = "lost"}).call<int>("builtins:abs", -3), dropped);
  manual.drop_one();
  expect_refused(dropped);
  EXPECT_EQ(dropped.wait().error().task(), "lost");

  ThrowingExecutor throwing;
  Seen<int> refused;
  await_on(throwing, pool().call<int>("builtins:abs", -3), refused);
  expect_refused(refused);

  Seen<int> late;
  BusyTask busy(pool());
  {
    SubinterpreterExecutor other(runtime(), {.pooled = {.threads = 1}});
    await_on(other, pool().call<int>("builtins:abs", -3), late);
  }
  EXPECT_FALSE(late.done.is_set());
  busy.release();
  expect_refused(late);

  Seen<int> queued;
  {
    SubinterpreterExecutor other(runtime(), {.pooled = {.threads = 1}});
    BusyTask keeps(other);
    auto ready = pool().call<int>("builtins:abs", -3);
    ready.wait();
    await_on(other, std::move(ready), queued);
    other.close();
    EXPECT_EQ(other.cancel_queued(), 1U);
    expect_refused(queued);
  }
}

TEST_F(Coroutines, CanBeDestroyedWhileTheyWait) {
  const auto coroutine = [](ManualExecutor& executor, Future<int> future, Mortal mortal,
                            bool& went_on) -> Owned {
    (void)co_await future.on(executor);
    went_on = true;
    (void)mortal;
  };
  ManualExecutor manual;
  bool went_on = false;
  Mortal first;
  const auto before = first.record();
  {
    BusyTask busy(pool());
    {
      const Owned waits = coroutine(manual, pool().call<int>("builtins:abs", -3), std::move(first), went_on);
    }
    EXPECT_TRUE(before->died.is_set()) << "before the task has run";
  }
  manual.run_one();
  Mortal second;
  const auto after = second.record();
  {
    const Owned waits = coroutine(manual, pool().call<int>("builtins:abs", -3), std::move(second), went_on);
    wait_until([&] { return manual.size() == 1; });
  }
  EXPECT_TRUE(after->died.is_set()) << "while the executor holds its Work";
  manual.run_one();
  Mortal third;
  {
    const Owned waits = coroutine(manual, pool().call<int>("builtins:abs", -3), std::move(third), went_on);
    wait_until([&] { return manual.size() == 1; });
  }
  manual.drop_one();
  // Whatever that leaves to the callback thread comes before this.
  get(pool().call<int>("builtins:abs", 1).then([](const Result<int>&) {}));
  EXPECT_FALSE(went_on);
}

TEST_F(Coroutines, DestroyedUnawaitedLeaveTheTaskAlone) {
  Event ran;
  {
    auto unused = pool().submit([&] { ran.set(); }).on(callback_executor());
  }
  ran.wait();
}

TEST_F(Coroutines, FollowEachOtherThroughManyTasks) {
  constexpr int kSteps = 1000;
  Event done;
  int sum = 0;
  const auto steps = [](SubinterpreterExecutor& on, int& total, Event& end) -> Detached {
    for (int i = 0; i < kSteps; ++i) {
      total += co_await on.call<int>("builtins:abs", -1);
      if (i % 2 == 0) total += co_await on.call<int>("builtins:abs", -1).on(on);
    }
    end.set();
  };
  steps(pool(), sum, done);
  done.wait();
  EXPECT_EQ(sum, kSteps + kSteps / 2);
}

TEST_F(Coroutines, RunSideBySide) {
  constexpr int kEach = 200;
  std::array<Event, 4> done;
  std::array<int, 4> sums{};
  const auto coroutine = [](SubinterpreterExecutor& on, int& total, Event& end) -> Detached {
    for (int i = 0; i < kEach; ++i) total += co_await on.call<int>("builtins:abs", -1);
    end.set();
  };
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < done.size(); ++i) {
    threads.emplace_back([&, i] { coroutine(pool(), sums[i], done[i]); });
  }
  for (auto& thread : threads) thread.join();
  for (const Event& end : done) end.wait();
  for (const int total : sums) EXPECT_EQ(total, kEach);
}

}  // namespace
}  // namespace interpool::test
