// Waits that could never end are errors, and no others are.
#include "support/busy.h"
#include "support/executors.h"
#include "support/runtime.h"
#include "support/sync.h"

#include <interpool/interpool.h>

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace interpool::test {
namespace {

using namespace std::chrono_literals;

/// Four pinned workers, each of which is the only one for its tasks.
class WithPinnedWorkers : public testing::Test {
 protected:
  static constexpr std::size_t kWorkers = 4;
  SubinterpreterExecutor pool{runtime(), {.pinned_workers = kWorkers, .spin = 0us}};

  /// Runs `wait` in a task of each of the first `count` workers, once all of them run. How many of the waits
  /// were deadlocks.
  template <class Wait>
  int deadlocks(std::size_t count, Wait wait) {
    Meeting meeting(static_cast<int>(count));
    std::atomic<int> found = 0;
    std::vector<Future<void>> tasks;
    for (std::size_t i = 0; i < count; ++i) {
      tasks.push_back(pool.pinned(i).submit([&, i] {
        meeting.arrive_and_wait();
        try {
          wait(i);
        } catch (const DeadlockError&) {
          ++found;
        }
      }));
    }
    for (auto& task : tasks) get(task);
    return found;
  }
  [[nodiscard]] Future<int> call_on(std::size_t worker) const {
    return pool.pinned(worker).call<int>("builtins:abs", -3);
  }
};

TEST_F(WithPinnedWorkers, TwoThatWaitForEachOther) {
  EXPECT_EQ(deadlocks(2, [&](std::size_t i) { EXPECT_EQ(call_on(1 - i).get(), 3); }), 1);
}

TEST_F(WithPinnedWorkers, ARingOfAllWorkers) {
  EXPECT_EQ(deadlocks(kWorkers, [&](std::size_t i) { EXPECT_EQ(call_on((i + 1) % kWorkers).get(), 3); }), 1);
}

TEST_F(WithPinnedWorkers, AChainWithAnEnd) {
  EXPECT_EQ(deadlocks(kWorkers,
                      [&](std::size_t i) {
                        if (i + 1 < kWorkers) {
                          EXPECT_EQ(call_on(i + 1).get(), 3);
                        }
                      }),
            0);
}

TEST_F(WithPinnedWorkers, AWorkerThatWaitsForItself) {
  EXPECT_EQ(deadlocks(1, [&](std::size_t i) { call_on(i).get(); }), 1);
}

TEST_F(WithPinnedWorkers, WaitThroughContinuationsAndGroups) {
  const auto through = [&](const std::function<void(Future<int>)>& wait) {
    return deadlocks(2, [&](std::size_t i) { wait(call_on(1 - i)); });
  };
  EXPECT_EQ(through([](Future<int> f) {
              auto chain = f.then([](Result<int> r) { return r.value(); }).then([](Result<int> r) {
                return r.value();
              });
              EXPECT_EQ(chain.get(), 3);
            }),
            1);
  EXPECT_EQ(through([&](Future<int> f) {
              auto all = when_all(std::move(f), call_on(kWorkers - 1));
              EXPECT_EQ(std::get<0>(all.get()).value(), 3);
            }),
            1)
      << "one part is enough";
  EXPECT_EQ(through([&](Future<int> f) {
              std::vector<Future<int>> futures;
              futures.push_back(std::move(f));
              futures.push_back(call_on(kWorkers - 1));
              EXPECT_EQ(when_any(std::move(futures)).get().result.value(), 3);
            }),
            0)
      << "one part is free";
  EXPECT_EQ(through([&](Future<int> f) {
              std::vector<Future<int>> futures;
              futures.push_back(std::move(f));
              futures.push_back(when_all(call_on(0), call_on(1)).then([](const auto&) { return 3; }));
              EXPECT_EQ(when_any(std::move(futures)).get().result.value(), 3);
            }),
            1)
      << "no part is free";
}

TEST_F(WithPinnedWorkers, WaitForMaps) {
  const std::vector<std::string> items(3, "a");
  for (const Rest rest : {Rest::kRun, Rest::kCancel}) {
    EXPECT_EQ(deadlocks(2,
                        [&](std::size_t i) {
                          auto map = pool.pinned(1 - i).map<int>("builtins:len", items, {.on_error = rest});
                          EXPECT_EQ(map.get(), (std::vector<int>{1, 1, 1}));
                        }),
              1);
  }
}

TEST_F(WithPinnedWorkers, WaitThroughTheMainLane) {
  // Whichever of the two comes last, the one that was there first gets its error.
  EXPECT_EQ(
      deadlocks(1, [&](std::size_t i) { pool.main().submit([this, i] { return call_on(i).get(); }).get(); }),
      1);
  wait_until([&] { return pool.in_flight() == 0; });
}

TEST_F(WithPinnedWorkers, ThoseThatWaitForRunningTasksOfEachOther) {
  SubinterpreterExecutor wide(runtime(), {.pooled = {.threads = 3}});
  // Each has the future of the other's task. The third worker has nothing to do with it.
  std::array<Future<void>, 2> futures;
  std::array<std::atomic<bool>, 2> deadlocked{};
  std::array<Event, 2> done;
  Event given;
  Meeting meeting(2);
  const auto task = [&](std::size_t i) {
    meeting.arrive_and_wait();
    given.wait();
    try {
      futures.at(1 - i).get();
    } catch (const DeadlockError&) {
      deadlocked.at(i) = true;
    }
    done.at(i).set();
  };
  futures[0] = wide.submit([&] { task(0); });
  futures[1] = wide.submit([&] { task(1); });
  given.set();
  for (const Event& end : done) end.wait();
  EXPECT_NE(deadlocked[0], deadlocked[1]);
}

TEST_F(WithPinnedWorkers, AWaitWithAnEndIsNoDeadlock) {
  EXPECT_EQ(deadlocks(2,
                      [&](std::size_t i) {
                        auto other = call_on(1 - i);
                        if (i == 0) {
                          EXPECT_FALSE(other.wait_for(20ms));
                        } else {
                          EXPECT_EQ(other.get(), 3);
                        }
                      }),
            0);
}

TEST_F(WithPinnedWorkers, ATaskWithADeadlineEndsItself) {
  EXPECT_EQ(deadlocks(2,
                      [&](std::size_t i) {
                        auto other = pool.pinned(1 - i).with({.timeout = 20ms}).call<int>("builtins:abs", -3);
                        const Result<int> result = other.result();
                        if (!result) {
                          EXPECT_EQ(result.error().code(), ErrorCode::kTimeout);
                        }
                      }),
            0);
}

TEST_F(WithPinnedWorkers, AHostThreadIsAlwaysAbleToGoOn) {
  ManualExecutor manual;
  auto on_host = call_on(3).then(manual, [](Result<int> r) { return r.value(); });
  std::thread host([&] { manual.run_one(); });
  EXPECT_EQ(deadlocks(2,
                      [&](std::size_t i) {
                        if (i == 0) {
                          EXPECT_EQ(on_host.get(), 3);
                        } else {
                          EXPECT_EQ(call_on(0).get(), 3);
                        }
                      }),
            0);
  host.join();
}

TEST_F(WithPinnedWorkers, ATaskThatFailsBecauseOfItFreesTheOthers) {
  Meeting meeting(2);
  std::array<Future<int>, 2> tasks;
  for (std::size_t i = 0; i < 2; ++i) {
    tasks.at(i) = pool.pinned(i).submit([&, i] {
      meeting.arrive_and_wait();
      return call_on(1 - i).get();
    });
  }
  int values = 0;
  for (auto& task : tasks) {
    const Result<int> settled = result(task);
    if (settled) {
      ++values;
    } else {
      EXPECT_EQ(settled.error().code(), ErrorCode::kDeadlock);
    }
  }
  EXPECT_EQ(values, 1);
}

TEST(Pools, WhoseWorkersAllWaitForWhatIsQueuedBehindThem) {
  SubinterpreterExecutor pool(runtime(), {.pooled = {.threads = 3}});
  Meeting meeting(3);
  std::atomic<int> found = 0;
  std::vector<Future<int>> outer;
  for (int i = 0; i < 3; ++i) {
    outer.push_back(pool.submit([&] {
      auto inner = pool.call<int>("builtins:abs", -3);
      meeting.arrive_and_wait();
      try {
        return inner.get();
      } catch (const DeadlockError&) {
        ++found;
        return 3;
      }
    }));
  }
  for (auto& future : outer) EXPECT_EQ(get(future), 3);
  EXPECT_EQ(found, 1) << "the last one to wait; then its worker runs what the others wait for";
}

TEST(Pools, WhoseContinuationsNeedAWorker) {
  SubinterpreterExecutor pool(runtime(), {.pooled = {.threads = 1}});
  SubinterpreterExecutor other(runtime(), {.pooled = {.threads = 1}});
  const auto outer = [&] {
    return pool.submit([&] {
      return other.call<int>("builtins:abs", -3).then(pool, [](Result<int> r) { return r.value(); }).get();
    });
  };
  EXPECT_EQ(error_of<DeadlockError>(outer()).code(), ErrorCode::kDeadlock);
  auto closed = pool.submit([&] {
    auto continuation =
        other.call<int>("builtins:abs", -3).then(pool, [](Result<int> r) { return r.value(); });
    BusyTask busy(other);
    pool.close();
    auto late = busy.future().then(pool, [](const Result<void>&) { return 1; });
    busy.release();
    return late.result().error().code();
  });
  EXPECT_EQ(get(closed), ErrorCode::kShutdown) << "which needs no worker";
}

/// How random tasks wait for each other.
class RandomWaits : public testing::Test {
 protected:
  static constexpr int kTasks = INTERPOOL_RANDOM_WAITS;

  template <class Submit>
  static void wait_somehow(unsigned how, const Submit& submit) {
    switch (how % 4) {
      case 0: submit().get(); break;
      case 1: submit().then([](Result<int> r) { return r.value(); }).get(); break;
      case 2: {
        const auto all = when_all(submit(), submit()).get();
        EXPECT_TRUE(std::get<0>(all) && std::get<1>(all));
        break;
      }
      default: {
        std::vector<Future<int>> futures;
        futures.push_back(submit());
        futures.push_back(submit().then([](Result<int> r) { return r.value(); }));
        EXPECT_TRUE(when_any(std::move(futures)).get().result);
        break;
      }
    }
  }
};

TEST_F(RandomWaits, WithoutACircleAllEnd) {
  // A task waits only for tasks of workers behind its own: there is always one that can go on.
  constexpr std::size_t kWorkers = 4;
  std::function<int(std::size_t, unsigned)> run;
  SubinterpreterExecutor pool(runtime(),
                              {.pinned_workers = kWorkers, .queue_capacity = 100'000, .spin = 1us});
  run = [&](std::size_t worker, unsigned seed) {
    std::minstd_rand random(seed + 1);
    for (std::size_t next = worker + 1; next < kWorkers; ++next) {
      if (random() % 3 == 0) continue;
      wait_somehow(static_cast<unsigned>(random()), [&] {
        const auto inner = static_cast<unsigned>(random() % 1000);
        return pool.pinned(next).submit([&run, next, inner] { return run(next, inner); });
      });
    }
    return 1;
  };
  std::vector<Future<int>> tasks;
  for (unsigned i = 0; i < kTasks / 4; ++i) {
    tasks.push_back(pool.pinned(i % kWorkers).submit([&run, i] { return run(i % kWorkers, i); }));
  }
  for (auto& task : tasks) EXPECT_EQ(get(task), 1);
  wait_until([&] { return pool.in_flight() == 0; });  // what when_any() left behind
}

TEST_F(RandomWaits, WithCirclesAllSettle) {
  constexpr std::size_t kWorkers = 4;
  std::function<int(unsigned, int)> run;
  SubinterpreterExecutor pinned(runtime(),
                                {.pinned_workers = kWorkers, .queue_capacity = 100'000, .spin = 1us});
  SubinterpreterExecutor pooled(
      runtime(), {.pooled = {.threads = 3, .interpreters = 2}, .queue_capacity = 100'000, .spin = 1us});
  std::atomic<int> deadlocks = 0;
  run = [&](unsigned seed, int depth) {
    std::minstd_rand random(seed + 1);
    if (depth == 0) return 1;
    const auto submit = [&] {
      const auto inner = static_cast<unsigned>(random() % 1000);
      auto task = [&run, inner, depth] { return run(inner, depth - 1); };
      const auto where = random() % (kWorkers + 3);
      return where < kWorkers ? pinned.pinned(where).submit(task) : pooled.submit(task);
    };
    try {
      if (random() % 2 == 0) {
        submit().get();
      } else {
        (void)when_all(submit(), submit().then(pooled, [](const Result<int>&) { return 1; })).get();
      }
    } catch (const DeadlockError&) {
      ++deadlocks;
    }
    return 1;
  };
  std::vector<Future<int>> tasks;
  for (unsigned i = 0; i < kTasks; ++i) {
    tasks.push_back(pinned.pinned(i % kWorkers).submit([&run, i] { return run(i, 3); }));
  }
  for (auto& task : tasks) EXPECT_TRUE(result(task));
  EXPECT_GT(deadlocks, 0);
  wait_until([&] { return pinned.in_flight() == 0 && pooled.in_flight() == 0; });
}

}  // namespace
}  // namespace interpool::test
