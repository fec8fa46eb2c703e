// Interpreters that are replaced after some work.
#include "support/runtime.h"
#include "support/sync.h"

#include <interpool/interpool.h>

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace interpool::test {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20U;

std::int64_t interpreter(const Submitter& submitter) {
  return get(submitter.submit([](Worker& worker) { return worker.interpreter_id(); }));
}

/// A task that keeps a worker busy without its interpreter's GIL, until it is let go.
class AwayTask {
 public:
  explicit AwayTask(const Submitter& submitter)
      : state_(std::make_shared<State>()), future_(submitter.submit([state = state_](Worker& worker) {
          state->interpreter = worker.interpreter_id();
          worker.call<void>("operator:call", Callback([state] {
                              state->started.set();
                              state->released.wait();
                            }));
        })) {
    state_->started.wait();
  }
  AwayTask(const AwayTask&) = delete;
  AwayTask& operator=(const AwayTask&) = delete;
  ~AwayTask() { release(); }

  void release() { state_->released.set(); }
  Future<void>& future() { return future_; }
  [[nodiscard]] std::int64_t interpreter() const { return state_->interpreter; }

 private:
  struct State {
    Event started;
    Event released;
    std::int64_t interpreter = 0;
  };
  std::shared_ptr<State> state_;
  Future<void> future_;
};

TEST(Recycling, APinnedWorkerGetsANewInterpreterAfterSoManyTasks) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1, .recycle = {.after_tasks = 3}});
  std::vector<int> counts;
  std::set<std::int64_t> ids;
  for (int i = 0; i < 9; ++i) {
    get(pool.pinned(0).submit([&](Worker& worker) {
      worker.exec("import builtins; builtins.seen = getattr(builtins, 'seen', 0) + 1");
      counts.push_back(worker.eval<int>("seen"));
      ids.insert(worker.interpreter_id());
    }));
  }
  EXPECT_EQ(counts, (std::vector<int>{1, 2, 3, 1, 2, 3, 1, 2, 3}));
  EXPECT_EQ(ids.size(), 3U);
  wait_for_interpreters(0);  // the third one, too; nobody has asked for a fourth
}

TEST(Recycling, TheLastResultOfAnInterpreterIsLetGo) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1, .recycle = {.after_tasks = 1}});
  auto value = std::make_shared<int>(1);
  const std::weak_ptr<int> result = value;
  Future<std::shared_ptr<int>> future = pool.pinned(0).submit([value = std::move(value)] { return value; });
  future.wait();
  wait_until([] { return runtime().interpreter_count() == 0; });
  future = {};
  EXPECT_TRUE(result.expired()) << "the worker holds it until there is another task";
}

TEST(Recycling, CountsFailedTasksToo) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1, .recycle = {.after_tasks = 2}});
  const std::int64_t first = interpreter(pool.pinned(0));
  EXPECT_THROW(get(pool.pinned(0).call<int>("builtins:int", "x")), PythonError);
  EXPECT_NE(interpreter(pool.pinned(0)), first);
}

TEST(Recycling, TheNewInterpreterIsSetUpAsTheFirstOneWas) {
  std::mutex mutex;
  std::vector<std::string> events;
  const auto note = [&](const char* what) {
    const std::lock_guard lock(mutex);
    events.emplace_back(what);
  };
  {
    SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1,
                                            .preload = {"colorsys"},
                                            .hooks = {.start = [&](Worker&) { note("start"); },
                                                      .stop = [&](Worker&) { note("stop"); }},
                                            .recycle = {.after_tasks = 1}});
    runtime().define_module("recycled", "limit = 1\ndef raise_to(n):\n    global limit\n    limit = n\n");
    get(pool.broadcast("recycled:raise_to", 7));
    for (int i = 0; i < 2; ++i) {
      get(pool.pinned(0).submit([&](Worker& worker) {
        note("task");
        EXPECT_TRUE(worker.eval<bool>("'colorsys' in __import__('sys').modules"));
        EXPECT_EQ(worker.eval<int>("__import__('recycled').limit"), 7);
        worker.call<void>("atexit:register", Callback([&] { note("atexit"); }));
      }));
    }
    wait_for_interpreters(0);  // or the end would refuse the callback at the second one's exit
  }
  EXPECT_EQ(events, (std::vector<std::string>{"start", "task", "stop", "atexit",  //
                                              "start", "task", "stop", "atexit"}));
}

TEST(Recycling, HandlesToObjectsOfTheOldInterpreterFail) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1, .recycle = {.after_tasks = 2}});
  const Object object = pool.pinned(0).create("interpool_probe:Tally", 1);
  EXPECT_EQ(get(object.call<int>("add", 2)), 3);
  const auto error = error_of<WorkerError>(object.call<int>("add", 2));
  EXPECT_NE(std::string(error.what()).find("has ended"), std::string::npos) << error.what();
}

TEST(Recycling, OnlyAtItsPlace) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 2, .recycle = {.after_tasks = 3}});
  const std::int64_t other = interpreter(pool.pinned(1));
  for (int i = 0; i < 4; ++i) (void)interpreter(pool.pinned(0));
  EXPECT_EQ(interpreter(pool.pinned(1)), other);
}

TEST(Recycling, NeverOfTheMainInterpreter) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1, .recycle = {.after_tasks = 1}});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(interpreter(pool.main()), 0);
}

TEST(Recycling, ThreadsThatShareAnInterpreterMoveOnOneByOne) {
  SubinterpreterExecutor pool(runtime(),
                              {.pooled = {.threads = 3, .interpreters = 1}, .recycle = {.after_tasks = 2}});
  AwayTask stays(pool);
  // Two tasks end beside it. From then on others run in a new interpreter, while that one still does in the
  // old.
  std::vector<std::int64_t> ids;
  for (int i = 0; i < 8; ++i) ids.push_back(interpreter(pool));
  EXPECT_EQ(ids[0], stays.interpreter());
  EXPECT_EQ(ids[1], stays.interpreter());
  for (std::size_t i = 2; i < 8; ++i) EXPECT_EQ(ids[i], ids[2]) << "a third one while the first still stands";
  EXPECT_NE(ids[2], ids[0]);
  EXPECT_EQ(runtime().interpreter_count(), 2U);
  stays.release();
  get(stays.future());
  wait_until([&] { return interpreter(pool) != ids[2]; });  // the first has ended: now the second may go
}

TEST(Recycling, AnInterpreterEndsAfterTheLastTaskInItThoughNoOtherComes) {
  SubinterpreterExecutor pool(runtime(),
                              {.pooled = {.threads = 2, .interpreters = 1}, .recycle = {.after_tasks = 1}});
  AwayTask first(pool);
  AwayTask second(pool);
  first.release();
  get(first.future());
  second.release();
  get(second.future());
  wait_for_interpreters(0);
}

TEST(Recycling, ATaskThatWaitsForAnotherOfItsPoolIsNotInTheWay) {
  SubinterpreterExecutor pool(runtime(),
                              {.pooled = {.threads = 2, .interpreters = 1}, .recycle = {.after_tasks = 1}});
  for (int i = 0; i < 20; ++i) {
    auto outer = pool.submit([&](Worker&) {
      int sum = 0;
      for (int k = 0; k < 3; ++k) sum += pool.call<int>("builtins:abs", -1).get();
      return sum;
    });
    EXPECT_EQ(get(outer), 3);
  }
}

/// How often a thread of ours has gone to sleep.
std::uint64_t sleeps_of(pid_t thread) {
  std::ifstream status("/proc/self/task/" + std::to_string(thread) + "/status");
  const std::string key = "voluntary_ctxt_switches:";
  for (std::string word; status >> word;) {
    std::uint64_t number = 0;
    if (word == key && status >> number) return number;
  }
  ADD_FAILURE() << "thread " << thread << " does not say how often it has slept";
  return 0;
}

TEST(Recycling, AWorkerThatEndsAnInterpreterKeepsNobodyFromTheNextOne) {
  Event thread_may_end;
  Event creator_may_end;
  Event other_runs;
  Event other_may_hold;
  Event other_holds;
  Event other_may_end;
  SubinterpreterExecutor pool(runtime(), {.pooled = {.threads = 2, .interpreters = 1},
                                          .recycle = {.after_tasks = 2},
                                          .spin = std::chrono::microseconds(0)});  // they sleep between tasks
  pid_t creator = 0;
  Event creator_runs;
  // The worker that creates the interpreter leaves a thread in it, for whose end it will have to wait.
  auto first = pool.submit([&](Worker& worker) {
    creator = gettid();
    worker.exec("import threading\ndef start(f): threading.Thread(target=f).start()");
    worker.call<void>("__main__:start", Callback([&] { thread_may_end.wait(); }));
    worker.call<void>("operator:call", Callback([&] {
                        creator_runs.set();
                        creator_may_end.wait();
                      }));
  });
  creator_runs.wait();
  auto second = pool.submit([&](Worker& worker) {
    worker.call<void>("operator:call", Callback([&] {
                        other_runs.set();
                        other_may_hold.wait();
                      }));
    other_holds.set();
    other_may_end.wait();  // with the GIL
  });
  other_runs.wait();
  creator_may_end.set();
  get(first);
  other_may_hold.set();
  other_holds.wait();
  // The third task calls its creator, which goes to sleep until it has the GIL. It will have it when the
  // other worker has left; but not if it waits for more than 5 ms, as it is handed over then.
  const std::uint64_t slept = sleeps_of(creator);
  auto third = pool.submit([] {});
  wait_until([&] { return sleeps_of(creator) > slept; });
  other_may_end.set();
  get(second);  // and the interpreter is replaced
  get(third);
  for (int i = 0; i < 10 && !HasFailure(); ++i) {
    EXPECT_TRUE(pool.submit([] {}).wait_for(kPatience / 4)) << "it waits for who ends the first interpreter";
  }
  thread_may_end.set();
}

TEST(Recycling, TheEndOfAnInterpreterIsNoRunningTime) {
  using Clock = std::chrono::steady_clock;
  Clock::duration in_hooks{0};
  const auto stop = [&](Worker& worker) {
    const auto begin = Clock::now();
    worker.exec("import time\ntime.sleep(0.05)");
    in_hooks += Clock::now() - begin;
  };
  SubinterpreterExecutor pool(runtime(), {.hooks = {.stop = stop}, .recycle = {.after_tasks = 1}});
  AttachedThread python = pool.attach();
  EXPECT_EQ(python.call<int>("builtins:abs", -1), 1);
  python.run([](Worker&) {});
  const LaneStats stats = pool.stats().lanes[static_cast<std::size_t>(Lane::kAttached)];
  EXPECT_EQ(stats.tasks.completed, 3U);
  EXPECT_GT(in_hooks, 3 * std::chrono::milliseconds(50));
  EXPECT_LT(stats.times.running, in_hooks);
}

TEST(Recycling, AnAttachedThreadGetsANewInterpreterAfterSoManyCalls) {
  std::atomic<int> starts = 0;
  std::atomic<int> stops = 0;
  SubinterpreterExecutor pool(
      runtime(), {.pinned_workers = 1,
                  .hooks = {.start = [&](Worker&) { ++starts; }, .stop = [&](Worker&) { ++stops; }},
                  .recycle = {.after_tasks = 2}});
  AttachedThread python = pool.attach();
  std::vector<std::int64_t> ids;
  // attach() itself counts as a call, the one that sets the interpreter up.
  for (int i = 0; i < 5; ++i) python.run([&](Worker& worker) { ids.push_back(worker.interpreter_id()); });
  EXPECT_NE(ids[0], ids[1]);
  EXPECT_EQ(ids[1], ids[2]);
  EXPECT_NE(ids[2], ids[3]);
  EXPECT_EQ(ids[3], ids[4]);
  EXPECT_EQ(python.call<int>("builtins:abs", -3), 3);
  EXPECT_EQ(starts, 4);
  EXPECT_EQ(stops, 3);
  python.release();
  EXPECT_EQ(stops, 4);
}

TEST(Recycling, TheLastPythonCodeOfAnInterpreterMayStillCallBack) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1, .recycle = {.after_tasks = 2}});
  int worker_calls = 0;
  bool refused = false;
  const Callback with_worker([&](Worker& worker) { worker_calls += worker.eval<int>("1"); });
  (void)interpreter(pool.pinned(0));
  get(pool.pinned(0).call<void>("atexit:register", with_worker));
  (void)interpreter(pool.pinned(0));
  EXPECT_EQ(worker_calls, 1);

  AttachedThread python = pool.attach();
  const Callback through_handle([&] {
    EXPECT_THROW((void)python.call<int>("builtins:abs", -1), UsageError);  // this one has no GIL
    refused = true;
  });
  const Callback through_handle_inside(
      [&](Worker& /*attached*/) { worker_calls += python.call<int>("builtins:abs", -1); });
  python.run([&](Worker& worker) {  // the second call, after which the interpreter ends
    worker.exec("import __main__\nclass Last:\n    def __del__(self):\n        self.call()\nlast = Last()");
    worker.call<void>("__main__:last.__setattr__", "call", with_worker);
    worker.call<void>("atexit:register", with_worker);
    worker.call<void>("atexit:register", through_handle);
    worker.call<void>("atexit:register", through_handle_inside);
  });
  EXPECT_EQ(worker_calls, 4);
  EXPECT_TRUE(refused);
}

TEST(Recycling, WhatTheLastPythonCodeLooksUpDiesWithTheInterpreter) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1, .recycle = {.after_tasks = 1}});
  auto value = std::make_shared<int>(7);
  const std::weak_ptr<int> function = value;
  std::atomic<int> result = 0;
  get(pool.pinned(0).submit([&, value = std::exchange(value, nullptr)](Worker& worker) {
    worker.exec("def keep(function):\n    global last\n    last = function\n");
    worker.call<void>("__main__:keep", Callback([value] { return *value; }));
    worker.call<void>("atexit:register",
                      Callback([&](Worker& ending) { result = ending.call<int>("__main__:last"); }));
  }));
  wait_until([] { return runtime().interpreter_count() == 0; });
  EXPECT_EQ(result, 7);
  EXPECT_TRUE(function.expired());
}

TEST(Recycling, AnInterpreterThatCannotEndIsTriedAgain) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1, .recycle = {.after_tasks = 1}});
  Event released;
  get(pool.pinned(0).submit([&](Worker& worker) {
    worker.call<void>("interpool_probe:start_raw_thread", Callback([&] { released.wait(); }));
  }));
  const std::int64_t second = interpreter(pool.pinned(0));
  wait_for_log("Python threads are still in it");
  EXPECT_EQ(interpreter(pool.pinned(0)), second) << "two have been replaced";
  released.set();
  wait_until([&] { return interpreter(pool.pinned(0)) != second; });
  (void)take_log();
}

/// What after_bytes needs; elsewhere the option is refused, which is tested below.
bool memory_is_known() {
  try {
    const SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1, .recycle = {.after_bytes = kMiB}});
    return true;
  } catch (const UsageError&) {
    return false;
  }
}

TEST(Recycling, AWorkerThatHasGrownGetsANewInterpreter) {
  if (!memory_is_known()) return;
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 2, .recycle = {.after_bytes = 32 * kMiB}});
  // Large blocks, and small objects; each task leaves 8 MiB behind, as a leak does.
  int worker_index = 0;
  for (const std::string code :
       {"kept = globals().get('kept', []) + [bytearray(8 << 20)]",
        "kept = globals().get('kept', []) + [[str(i) * 3 for i in range(120_000)]]"}) {
    const Submitter worker = pool.pinned(static_cast<std::size_t>(worker_index++));
    std::vector<std::int64_t> ids;
    for (int i = 0; i < 12; ++i) {
      ids.push_back(get(worker.submit([&](Worker& python) {
        python.exec(code);
        return python.interpreter_id();
      })));
    }
    EXPECT_EQ(ids[0], ids[2]) << code;
    EXPECT_EQ(std::ranges::count(ids, ids[0]), std::ranges::count(ids, ids[6])) << code;
    EXPECT_NE(ids[0], ids[11]) << code;
  }
}

TEST(Recycling, ABroadcastDoesNotHideGrowth) {
  if (!memory_is_known()) return;
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1, .recycle = {.after_bytes = 32 * kMiB}});
  const std::int64_t first = interpreter(pool.pinned(0));
  for (int i = 0; i < 6; ++i) {
    get(pool.pinned(0).submit(
        [](Worker& python) { python.exec("kept = globals().get('kept', []) + [bytearray(8 << 20)]"); }));
    get(pool.broadcast("builtins:abs", -1));
  }
  EXPECT_NE(interpreter(pool.pinned(0)), first);
}

TEST(Recycling, WhatIsFreedAgainIsNoGrowth) {
  if (!memory_is_known()) return;
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1, .recycle = {.after_bytes = 32 * kMiB}});
  const std::int64_t first = interpreter(pool.pinned(0));
  for (int i = 0; i < 20; ++i) {
    get(pool.pinned(0).submit([](Worker& python) {
      python.exec("for _ in range(10):\n    bytearray(8 << 20)\n    [str(i) for i in range(20_000)]");
    }));
  }
  EXPECT_EQ(interpreter(pool.pinned(0)), first);
}

TEST(Recycling, WithLimitsThatMakeNoSenseIsRefused) {
  const auto refused = [](RecycleOptions recycle) {
    return std::string(error_of<UsageError>([&] {
                         return SubinterpreterExecutor(runtime(), {.pinned_workers = 1, .recycle = recycle});
                       }).what());
  };
  EXPECT_NE(refused({.after_bytes = 5}).find("recycle.after_bytes: 5 bytes"), std::string::npos);
  if (!memory_is_known()) {
    EXPECT_NE(refused({.after_bytes = kMiB}).find("after_tasks"), std::string::npos);
  }
}

TEST(Recycling, PythonThreadsOfTheOldInterpreterAreJoined) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1, .recycle = {.after_tasks = 1}});
  Event begun;
  Event released;
  std::atomic<bool> done = false;
  get(pool.pinned(0).submit([&](Worker& worker) {
    worker.call<void>("interpool_probe:start_thread", Callback([&] {
                        begun.set();
                        released.wait();
                        done = true;
                      }));
  }));
  begun.wait();
  auto next = pool.pinned(0).submit([&](Worker&) { return done.load(); });
  released.set();
  EXPECT_TRUE(get(next));
}

TEST(Recycling, ABroadcastGetsItsAnswersWhileInterpretersComeAndGo) {
  SubinterpreterExecutor pool(
      runtime(),
      {.pinned_workers = 1, .pooled = {.threads = 3, .interpreters = 2}, .recycle = {.after_tasks = 2}});
  runtime().define_module("recycled_state",
                          "value = -1\ndef put(n):\n    global value\n    value = n\n    return n\n");
  std::atomic<bool> stop = false;
  std::atomic<int> announced = -1;
  std::atomic<int> rounds = 0;
  std::thread busy([&] {
    while (!stop) {
      const int least = announced;
      const auto check = [least](Worker& worker) {
        EXPECT_GE(worker.eval<int>("__import__('recycled_state').value"), least);
      };
      auto pooled = pool.submit(check);
      get(pool.pinned(0).submit(check));
      get(pooled);
      ++rounds;
    }
  });
  std::thread attached([&] {
    AttachedThread python = pool.attach();
    while (!stop) {
      const int least = announced;
      EXPECT_GE(
          python.run([](Worker& worker) { return worker.eval<int>("__import__('recycled_state').value"); }),
          least);
    }
  });
  for (int i = 0; i < 100 || rounds < 30; ++i) {
    for (const auto& answer : get(pool.broadcast<int>("recycled_state:put", i))) EXPECT_EQ(answer.value, i);
    announced = i;
  }
  stop = true;
  busy.join();
  attached.join();
  EXPECT_EQ(pool.counts().failed, 0U);
}

TEST(Recycling, TheEndFindsWhatIsStillInAnOldInterpreter) {
  auto pool = std::make_unique<SubinterpreterExecutor>(
      runtime(), ExecutorOptions{.pooled = {.threads = 2, .interpreters = 1}, .recycle = {.after_tasks = 1}});
  AwayTask stays(*pool);
  (void)interpreter(*pool);  // retires it
  (void)interpreter(*pool);  // in the next one
  const ExecutorReport report = pool->stop({.timeout = std::chrono::milliseconds(1)});
  EXPECT_EQ(report.abandoned.size(), 1U);
  EXPECT_GE(report.interpreters_left, 1U);
  stays.release();
  pool.reset();
  wait_for_interpreters(0);
  (void)take_log();
}

/// What every lane offers, one after the other; a handle may come too late.
/// Whether the object was still there for its second task.
bool use_everything(const Submitter& lane, int number) {
  EXPECT_EQ(get(lane.call<int>("operator:call", Callback([](int n) { return n + 1; }), number)), number + 1);
  EXPECT_THROW(
      get(lane.call<void>("operator:call", Callback([] { throw std::out_of_range("thrown on purpose"); }))),
      std::out_of_range);
  get(lane.submit(
      [](Worker& worker) { EXPECT_EQ(worker.eval<int>("__import__('recycled_module').value"), 5); }));
  const Object object = lane.create("interpool_probe:Tally", number);
  const Result<int> tally = result(object.call<int>("add", 1));
  if (tally) {
    EXPECT_EQ(tally.value(), number + 1);
  } else {
    EXPECT_EQ(tally.failure()->code(), ErrorCode::kWorker) << tally.failure()->message();
  }
  return tally.has_value();
}

TEST(Recycling, CallbacksObjectsModulesAndHooksGoOnInEveryLane) {
  constexpr int kRounds = 25;
  std::atomic<int> starts = 0;
  std::atomic<int> stops = 0;
  runtime().define_module("recycled_module", "value = 5\n");
  {
    SubinterpreterExecutor pool(
        runtime(), {.pinned_workers = 1,
                    .pooled = {.threads = 3, .interpreters = 2},
                    .hooks = {.start = [&](Worker&) { ++starts; }, .stop = [&](Worker&) { ++stops; }},
                    .recycle = {.after_tasks = 6}});
    std::vector<std::thread> users;
    // How many of its objects are still there for their second task: main is never replaced.
    const std::vector<std::pair<Submitter, int>> lanes = {
        {pool, 1}, {pool.pinned(0), 1}, {pool.main(), kRounds}};
    for (const auto& lane_and_least : lanes) {
      users.emplace_back([lane_and_least] {
        const auto& [lane, least] = lane_and_least;
        int alive = 0;
        for (int i = 0; i < kRounds; ++i) alive += static_cast<int>(use_everything(lane, i));
        EXPECT_GE(alive, least);
      });
    }
    users.emplace_back([&pool] {
      AttachedThread python = pool.attach();
      for (int i = 0; i < kRounds; ++i) {
        EXPECT_EQ(python.call<int>("operator:call", Callback([](int n) { return n + 1; }), i), i + 1);
        python.run(
            [](Worker& worker) { EXPECT_EQ(worker.eval<int>("__import__('recycled_module').value"), 5); });
      }
    });
    for (std::thread& user : users) user.join();
  }
  EXPECT_GT(starts, 4);  // one for each worker, and more
  EXPECT_EQ(starts, stops);
}

TEST(Recycling, NothingIsLostWhileInterpretersComeAndGo) {
  constexpr int kTasks = 600;
  SubinterpreterExecutor pool(
      runtime(),
      {.pinned_workers = 1, .pooled = {.threads = 4, .interpreters = 2}, .recycle = {.after_tasks = 7}});
  std::vector<Future<int>> futures;
  for (int i = 0; i < kTasks; ++i) {
    futures.push_back(i % 3 == 0 ? pool.pinned(0).call<int>("builtins:abs", -i)
                                 : pool.call<int>("builtins:abs", -i));
  }
  for (int i = 0; i < kTasks; ++i) EXPECT_EQ(get(futures[static_cast<std::size_t>(i)]), i);
  EXPECT_EQ(pool.counts().completed, kTasks);
}

}  // namespace
}  // namespace interpool::test
