// Threads of the host that call Python by themselves.
#include "support/busy.h"
#include "support/runtime.h"
#include "support/sync.h"

#include <interpool/interpool.h>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace interpool::test {
namespace {

using namespace std::chrono_literals;

/// Each test begins and ends without interpreters.
class Attached : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(runtime().interpreter_count(), 0U); }
  void TearDown() override {
    wait_for_interpreters(0);
    EXPECT_EQ(take_log(), std::vector<std::string>{});
  }
};

ExecutorOptions options() { return {.name = "host", .pinned_workers = 1}; }

/// Runs it on a thread of its own, to its end.
template <class F>
void on_a_thread(F action) {
  std::thread(std::move(action)).join();
}

TEST_F(Attached, CallsOnTheThreadItselfInAnInterpreterOfItsOwn) {
  SubinterpreterExecutor pool(runtime(), options());
  on_a_thread([&] {
    AttachedThread python = pool.attach();
    EXPECT_EQ(runtime().interpreter_count(), 1U);
    EXPECT_EQ(python.call<int>("builtins:abs", -3), 3);
    EXPECT_EQ(python.call<std::uint64_t>("_thread:get_native_id"), static_cast<std::uint64_t>(gettid()));
    python.run([](Worker& worker) {
      EXPECT_EQ(worker.lane(), Lane::kAttached);
      EXPECT_GT(worker.interpreter_id(), 0);
      worker.exec("kept = 41");
    });
    EXPECT_EQ(python.run([](Worker& worker) { return worker.eval<int>("kept + 1"); }), 42);
  });
  EXPECT_EQ(runtime().interpreter_count(), 0U);
}

TEST_F(Attached, FunctionsAreTypedAndLookedUpOnce) {
  SubinterpreterExecutor pool(runtime(), options());
  on_a_thread([&] {
    auto upper = pool.attach().function<std::string(std::string)>("builtins:str.upper");
    EXPECT_EQ(upper("abc"), "ABC");
    EXPECT_EQ(upper.name(), "builtins:str.upper");
    const std::string text = "def";
    EXPECT_EQ(pool.attach().call<std::string>("builtins:str.upper", text), "DEF");
    EXPECT_EQ(pool.attach().call<std::size_t>("builtins:len", "literal"), 7U);
  });
}

TEST_F(Attached, ErrorsComeOutAsTheyAre) {
  SubinterpreterExecutor pool(runtime(), options());
  on_a_thread([&] {
    AttachedThread python = pool.attach();
    EXPECT_EQ(error_of<PythonError>([&] { return python.call<int>("builtins:int", "x"); }).type(),
              "ValueError");
    const auto conversion = error_of<ConversionError>([&] { return python.call<int>("builtins:str", 1); });
    EXPECT_EQ(conversion.task(), "builtins:str");
    EXPECT_THROW(python.run([](Worker&) { throw std::out_of_range("the host's"); }), std::out_of_range);
    EXPECT_THROW((void)python.call<int>("no function"), UsageError);
    EXPECT_EQ(python.call<int>("builtins:abs", -1), 1);
  });
}

TEST_F(Attached, TheInterpreterStaysForTheThreadsNextAttach) {
  SubinterpreterExecutor pool(runtime(), options());
  on_a_thread([&] {
    std::int64_t first = 0;
    {
      AttachedThread python = pool.attach();
      first = python.run([](Worker& worker) { return worker.interpreter_id(); });
      python.run([](Worker& worker) { worker.exec("kept = 1"); });
    }
    AttachedThread again = pool.attach();
    EXPECT_EQ(again.run([](Worker& worker) { return worker.interpreter_id(); }), first);
    EXPECT_EQ(again.run([](Worker& worker) { return worker.eval<int>("kept"); }), 1);
    EXPECT_EQ(runtime().interpreter_count(), 1U);
  });
}

TEST_F(Attached, ReleaseEndsTheInterpreterOnItsThread) {
  SubinterpreterExecutor pool(runtime(), options());
  on_a_thread([&] {
    AttachedThread python = pool.attach();
    auto abs = python.function<int(int)>("builtins:abs");
    python.run([](Worker& worker) { worker.exec("import atexit, interpool_probe"); });
    python.release();
    EXPECT_EQ(runtime().interpreter_count(), 0U);
    EXPECT_THROW((void)python.call<int>("builtins:abs", 1), UsageError);
    EXPECT_THROW((void)abs(1), UsageError);
    AttachedThread another = pool.attach();
    EXPECT_EQ(another.call<int>("builtins:abs", -2), 2);
  });
}

TEST_F(Attached, NestedUseIsAPartOfTheOuterCall) {
  SubinterpreterExecutor pool(runtime(), options());
  SubinterpreterExecutor other(runtime(), options());
  on_a_thread([&] {
    AttachedThread python = pool.attach();
    AttachedThread elsewhere = other.attach();
    const int sum = python.run([&](Worker& worker) {
      const std::int64_t here = worker.interpreter_id();
      const int inner = python.call<int>("builtins:abs", -1);
      // Another interpreter from inside: this one's GIL is released meanwhile, and taken again.
      const int outside = elsewhere.run([&](Worker& there) {
        EXPECT_NE(there.interpreter_id(), here);
        // And back into the first one.
        return python.run([&](Worker& again) {
          EXPECT_EQ(again.interpreter_id(), here);
          return again.eval<int>("10");
        });
      });
      EXPECT_EQ(pool.attach().call<int>("builtins:abs", -5), 5);
      EXPECT_THROW(python.release(), UsageError);
      return inner + outside + worker.eval<int>("100");
    });
    EXPECT_EQ(sum, 111);
  });
  EXPECT_EQ(pool.counts().accepted, 2U) << "its set-up and the outer call; what was inside is a part of it";
}

TEST_F(Attached, OnlyItsOwnThreadMayUseIt) {
  SubinterpreterExecutor pool(runtime(), options());
  on_a_thread([&] {
    AttachedThread python = pool.attach();
    on_a_thread([&] {
      EXPECT_THROW((void)python.call<int>("builtins:abs", 1), UsageError);
      EXPECT_THROW(python.release(), UsageError);
      AttachedThread moved = std::move(python);  // and dies here
    });
    EXPECT_THROW((void)python.call<int>("builtins:abs", 1), UsageError) << "moved from";
    EXPECT_EQ(pool.attach().call<int>("builtins:abs", -1), 1);
  });
}

TEST_F(Attached, AWorkerIsRefused) {
  SubinterpreterExecutor pool(runtime(), options());
  EXPECT_EQ(error_of<UsageError>(pool.submit([&](Worker&) { (void)pool.attach(); })).code(),
            ErrorCode::kUsage);
  EXPECT_EQ(error_of<UsageError>(pool.main().submit([&](Worker&) { (void)pool.attach(); })).code(),
            ErrorCode::kUsage);
}

TEST_F(Attached, ManyThreadsCallAtOnceAndAllIsCounted) {
  constexpr int kThreads = 4;
  constexpr int kCalls = 500;
  SubinterpreterExecutor pool(runtime(), options());
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      AttachedThread python = pool.attach();
      const auto abs = python.function<int(int)>("builtins:abs");
      for (int n = 0; n < kCalls; ++n) EXPECT_EQ(abs(-n), n);
      EXPECT_THROW((void)python.call<int>("builtins:int", "x"), PythonError);
    });
  }
  for (int n = 0; n < kCalls; ++n) EXPECT_EQ(get(pool.call<int>("builtins:abs", -n)), n);
  for (std::thread& thread : threads) thread.join();
  const ExecutorReport report = pool.stop({});
  EXPECT_EQ(report.tasks.completed, static_cast<std::uint64_t>(kThreads * (kCalls + 1) + kCalls));
  EXPECT_EQ(report.tasks.failed, static_cast<std::uint64_t>(kThreads));
  EXPECT_EQ(report.tasks.settled(), report.tasks.accepted);
  EXPECT_EQ(report.attached_left, 0U);
}

TEST_F(Attached, TasksAndItsOwnFuturesGoTogether) {
  SubinterpreterExecutor pool(runtime(), options());
  on_a_thread([&] {
    AttachedThread python = pool.attach();
    // Waiting inside a call releases the GIL, and takes it again.
    EXPECT_EQ(python.run([&](Worker& worker) {
      return get(pool.call<int>("builtins:abs", -1)) + worker.eval<int>("1");
    }),
              2);
    EXPECT_THROW(python.run([&](Worker&) { (void)pool.drain(1s); }), DeadlockError);
    EXPECT_THROW(python.run([&](Worker&) { (void)pool.stop({}); }), DeadlockError);
  });
}

/// A thread that is attached, and does what it is told.
class AttachedHost {
 public:
  explicit AttachedHost(SubinterpreterExecutor& pool)
      : thread_([this, &pool] {
          AttachedThread python = pool.attach();
          attached_.set();
          go_on_.wait();
          after_(python);
        }) {
    attached_.wait();
  }
  ~AttachedHost() { join(); }
  AttachedHost(const AttachedHost&) = delete;
  AttachedHost& operator=(const AttachedHost&) = delete;

  template <class F>
  void go_on(F action) {
    after_ = std::move(action);
    go_on_.set();
  }
  void join() {
    go_on_.set();
    if (thread_.joinable()) thread_.join();
  }

 private:
  Event attached_;
  Event go_on_;
  std::function<void(AttachedThread&)> after_ = [](AttachedThread&) {};
  std::thread thread_;
};

TEST_F(Attached, NothingIsAdmittedOnceTheExecutorIsClosed) {
  SubinterpreterExecutor pool(runtime(), options());
  AttachedHost host(pool);
  pool.close();
  host.go_on([&](AttachedThread& python) {
    EXPECT_THROW((void)python.call<int>("builtins:abs", 1), ShutdownError);
    EXPECT_THROW((void)pool.attach(), ShutdownError);
  });
  host.join();
  EXPECT_THROW((void)pool.attach(), ShutdownError);
  EXPECT_EQ(pool.counts().accepted, 1U);
}

TEST_F(Attached, AnIdleThreadDoesNotHoldUpStopAndEndsItsInterpreterItself) {
  auto pool = std::make_unique<SubinterpreterExecutor>(runtime(), options());
  AttachedHost host(*pool);
  const ExecutorReport report = pool->stop({.timeout = kPatience});
  EXPECT_TRUE(report.drained);
  EXPECT_EQ(report.attached_left, 1U);
  EXPECT_EQ(report.interpreters_left, 0U);
  pool.reset();
  EXPECT_EQ(runtime().interpreter_count(), 1U);
  host.go_on([](AttachedThread& python) {
    EXPECT_THROW((void)python.call<int>("builtins:abs", 1), ShutdownError);
    python.release();
    EXPECT_EQ(runtime().interpreter_count(), 0U);
  });
}

TEST_F(Attached, StopOnTheThreadItselfEndsItsInterpreter) {
  SubinterpreterExecutor pool(runtime(), options());
  on_a_thread([&] {
    AttachedThread python = pool.attach();
    EXPECT_EQ(python.call<int>("builtins:abs", -1), 1);
    const ExecutorReport report = pool.stop({});
    EXPECT_EQ(report.attached_left, 0U);
    EXPECT_EQ(runtime().interpreter_count(), 0U);
    EXPECT_THROW((void)python.call<int>("builtins:abs", 1), UsageError);
  });
}

TEST_F(Attached, ADrainWaitsForTheCallUnderWay) {
  SubinterpreterExecutor pool(runtime(), options());
  Event running;
  Event finish;
  std::thread host([&] {
    AttachedThread python = pool.attach();
    python.run([&](Worker&) {
      running.set();
      finish.wait();
    });
  });
  running.wait();
  EXPECT_FALSE(pool.drain(0ms));
  std::optional<bool> drained;
  SleepingThread drainer([&] { drained = pool.drain(kPatience); });
  drainer.wait_until_asleep();
  EXPECT_FALSE(drained.has_value());
  finish.set();
  drainer.join();
  EXPECT_EQ(drained, true);
  host.join();
}

TEST_F(Attached, ACallThatDoesNotEndInTimeIsGivenUp) {
  auto pool = std::make_unique<SubinterpreterExecutor>(runtime(), options());
  Event running;
  Event finish;
  std::thread host([&, executor = pool.get()] {
    AttachedThread python = executor->attach();
    // The thread does not notice: its call ends as it would have.
    EXPECT_EQ(python.run([&](Worker& worker) {
      running.set();
      finish.wait();
      return worker.eval<int>("7");
    }),
              7);
  });
  running.wait();
  const ExecutorReport report = pool->stop({.timeout = 1ms});
  EXPECT_FALSE(report.drained);
  EXPECT_EQ(report.abandoned, std::vector<std::string>{"a callable on an attached thread"});
  EXPECT_EQ(report.tasks.abandoned, 1U);
  EXPECT_EQ(report.tasks.settled(), report.tasks.accepted);
  EXPECT_EQ(report.attached_left, 1U);
  finish.set();
  host.join();
  EXPECT_EQ(pool->counts().completed, 1U) << "attach() alone: what was given up is not counted twice";
  EXPECT_EQ(pool->counts().settled(), pool->counts().accepted);
  pool.reset();
  const std::vector<std::string> log = take_log();
  ASSERT_EQ(log.size(), 1U);
  EXPECT_NE(log.front().find("abandoned"), std::string::npos) << log.front();
}

TEST_F(Attached, StartAndStopHooksRunOnTheThread) {
  std::vector<std::string> events;
  const auto note = [&](const char* what) {
    return [&events, what](Worker& worker) {
      EXPECT_EQ(worker.lane(), Lane::kAttached);
      events.emplace_back(what + std::to_string(gettid()));
    };
  };
  SubinterpreterExecutor pool(
      runtime(), {.pinned_workers = 1, .hooks = {.start = note("start "), .stop = note("stop ")}});
  std::string id;
  on_a_thread([&] {
    id = std::to_string(gettid());
    (void)pool.attach();
  });
  EXPECT_EQ(events, (std::vector<std::string>{"start " + id, "stop " + id}));
}

TEST_F(Attached, ItsEndCannotBeEndedFromInside) {
  int stops = 0;
  std::optional<AttachedThread> handle;
  SubinterpreterExecutor* executor = nullptr;
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1, .hooks = {.stop = [&](Worker& worker) {
                                                                 ++stops;
                                                                 EXPECT_THROW((void)executor->stop({}),
                                                                              DeadlockError);
                                                                 EXPECT_THROW(handle->release(), UsageError);
                                                                 EXPECT_EQ(worker.eval<int>("1"), 1);
                                                               }}});
  executor = &pool;
  on_a_thread([&] {
    handle = pool.attach();
    handle->release();
  });
  EXPECT_EQ(stops, 1);
}

TEST_F(Attached, TheRuntimeCannotBeStoppedInsideACall) {
  SubinterpreterExecutor pool(runtime(), options());
  on_a_thread(
      [&] { EXPECT_THROW(pool.attach().run([](Worker&) { (void)runtime().stop(1s); }), DeadlockError); });
}

TEST_F(Attached, AFullQueueIsNoDeadlockForIt) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1, .queue_capacity = 1});
  std::optional<BusyTask> busy(pool);
  Future<int> fills = pool.call<int>("builtins:abs", -1);
  std::optional<Future<int>> waited;
  SleepingThread host(
      [&] { pool.attach().run([&](Worker&) { waited = pool.call<int>("builtins:abs", -2); }); });
  host.wait_until_asleep();
  busy.reset();
  host.join();
  EXPECT_EQ(get(fills), 1);
  ASSERT_TRUE(waited.has_value());
  EXPECT_EQ(get(*waited), 2);
}

TEST_F(Attached, AnInterpreterThatCannotBeSetUpIsAnErrorOfAttach) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1, .preload = {"no_such_module"}});
  on_a_thread([&] {
    EXPECT_THROW((void)pool.attach(), WorkerError);
    EXPECT_THROW((void)pool.attach(), WorkerError) << "and again: it was tried anew";
    EXPECT_EQ(runtime().interpreter_count(), 0U);
  });
}

TEST_F(Attached, CallsThatEndAsTheyAreGivenUpAreCountedOnce) {
  std::uint64_t given_up = 0;
  for (int round = 0; round < 100; ++round) {
    auto pool = std::make_unique<SubinterpreterExecutor>(runtime(), options());
    std::vector<std::thread> threads;
    Event both_call;
    std::atomic<int> calling = 0;
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([&, executor = pool.get()] {
        AttachedThread python = executor->attach();
        if (++calling == 2) both_call.set();
        try {
          for (;;) (void)python.call<int>("builtins:abs", -1);
        } catch (const ShutdownError&) {
        }
      });
    }
    both_call.wait();
    const ExecutorReport report = pool->stop({.timeout = 0ms});
    EXPECT_EQ(report.tasks.settled(), report.tasks.accepted);
    given_up += report.tasks.abandoned;
    for (std::thread& thread : threads) thread.join();
    const TaskCounts counts = pool->counts();
    EXPECT_EQ(counts.settled(), counts.accepted);
    EXPECT_EQ(counts.accepted, report.tasks.accepted);
    EXPECT_EQ(counts.abandoned, report.tasks.abandoned);
  }
  std::printf("%llu calls were given up\n", static_cast<unsigned long long>(given_up));
  for (const std::string& line : take_log())
    EXPECT_EQ(line.find("bug of interpool"), std::string::npos) << line;
}

TEST_F(Attached, ComingAndGoingWhileOthersWorkAndPoolsEnd) {
  constexpr int kRounds = 8;
  for (int round = 0; round < kRounds; ++round) {
    auto pool = std::make_unique<SubinterpreterExecutor>(runtime(), options());
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&, i, executor = pool.get()] {
        try {
          AttachedThread python = executor->attach();
          for (int n = 0;; ++n) {
            (void)python.call<int>("builtins:abs", -n);
            if (i == 1 && n == 5) python.release();
          }
        } catch (const ShutdownError&) {
        } catch (const UsageError&) {
          EXPECT_EQ(i, 1) << "only this one has released its interpreter";
        }
      });
    }
    Future<int> task = pool->call<int>("builtins:abs", -1);
    EXPECT_EQ(get(task), 1);
    const ExecutorReport report = pool->stop({.timeout = kPatience});
    EXPECT_EQ(report.tasks.settled(), report.tasks.accepted);
    EXPECT_EQ(report.tasks.abandoned, 0U);
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(pool->counts().settled(), pool->counts().accepted);
  }
}

}  // namespace
}  // namespace interpool::test
