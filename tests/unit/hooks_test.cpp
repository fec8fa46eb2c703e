// What workers do when they start and end.
#include "support/busy.h"
#include "support/runtime.h"
#include "support/sync.h"

#include <interpool/interpool.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace interpool::test {
namespace {

class Hooks : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(runtime().interpreter_count(), 0U); }
  void TearDown() override {
    wait_for_interpreters(0);
    EXPECT_EQ(take_log(), std::vector<std::string>{});
  }
};

/// What the hooks of one executor have noted, in order.
class Notes {
 public:
  void add(const std::string& what) {
    const std::lock_guard lock(mutex_);
    notes_.push_back(what);
  }
  std::vector<std::string> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(notes_, {});
  }
  std::function<void(Worker&)> hook(const std::string& what) {
    return [this, what](Worker& worker) {
      add(what + " " + to_string(worker.lane()) + " " + std::to_string(worker.index()) + " " +
          worker.eval<std::string>("repr(locals().get('left', ''))"));
    };
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> notes_;
};

TEST_F(Hooks, RunOnceOnEachWorkerAroundItsTasks) {
  Notes notes;
  SubinterpreterExecutor pool(
      runtime(), {.pinned_workers = 2, .hooks = {.start = notes.hook("start"), .stop = notes.hook("stop")}});
  EXPECT_EQ(notes.take(), std::vector<std::string>{}) << "with the first task, as the interpreter";
  get(pool.pinned(1).submit([&](Worker& python) {
    notes.add("task");
    python.exec("left = 'by a task'");
  }));
  get(pool.pinned(1).submit([&](Worker&) { notes.add("task"); }));
  EXPECT_EQ(notes.take(), (std::vector<std::string>{"start pinned 1 ''", "task", "task"}));
  pool.stop({});
  EXPECT_EQ(notes.take(), (std::vector<std::string>{"stop pinned 1 'by a task'"}))
      << "pinned 0 has never started";
}

TEST_F(Hooks, ThreadsThatShareAnInterpreterHaveEachTheirOwn) {
  Notes notes;
  SubinterpreterExecutor pool(runtime(),
                              {.pooled = {.threads = 2, .interpreters = 1},
                               .hooks = {.start = notes.hook("start"), .stop = notes.hook("stop")}});
  std::vector<Future<void>> tasks;
  for (int i = 0; i < 2; ++i) tasks.push_back(pool.call<void>("interpool_probe:meet", "hooks", 2));
  for (auto& task : tasks) get(task);
  pool.stop({});
  std::vector<std::string> noted = notes.take();
  std::ranges::sort(noted);
  const std::vector<std::string> both = {"start pooled 0 ''", "start pooled 1 ''", "stop pooled 0 ''",
                                         "stop pooled 1 ''"};
  EXPECT_EQ(noted, both);
}

TEST_F(Hooks, PythonsAreFunctionsByName) {
  SubinterpreterExecutor pool(runtime(),
                              {.pinned_workers = 1,
                               .hooks = {.start = [](Worker& python) { python.exec("order = ['C++']"); },
                                         .python_start = "interpool_probe:note_start",
                                         .stop = {},
                                         .python_stop = "interpool_probe:note_stop"}});
  const auto order =
      get(pool.submit([](Worker& python) { return python.eval<std::vector<std::string>>("order"); }));
  EXPECT_EQ(order, (std::vector<std::string>{"C++", "Python"}));
  const auto path = get(pool.call<std::string>("interpool_probe:stop_note_path"));
  pool.stop({});
  EXPECT_TRUE(std::ifstream(path).good()) << "the stop hook has left a file";
  std::remove(path.c_str());
}

TEST_F(Hooks, AStartThatFailsIsTheErrorOfTheTaskAndTriedAgain) {
  std::atomic<int> tries = 0;
  std::atomic<int> stops = 0;
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1,
                                          .hooks = {.start =
                                                        [&](Worker&) {
                                                          if (++tries < 3)
                                                            throw std::runtime_error("not yet");
                                                        },
                                                    .stop = [&](Worker&) { ++stops; }}});
  for (int i = 0; i < 2; ++i) {
    const auto error = error_of<WorkerError>(pool.call<int>("builtins:abs", -1));
    EXPECT_NE(error.message().find("start hook failed"), std::string::npos) << error.message();
    EXPECT_NE(error.message().find("not yet"), std::string::npos) << error.message();
    EXPECT_EQ(error.task(), "builtins:abs");
  }
  EXPECT_EQ(get(pool.call<int>("builtins:abs", -1)), 1);
  EXPECT_EQ(get(pool.call<int>("builtins:abs", -1)), 1);
  EXPECT_EQ(tries, 3);
  pool.stop({});
  EXPECT_EQ(stops, 1);
}

TEST_F(Hooks, OneThatNeverStartedDoesNotStop) {
  std::atomic<int> stops = 0;
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1,
                                          .hooks = {.python_start = "interpool_probe:no_such_function",
                                                    .stop = [&](Worker&) { ++stops; }}});
  EXPECT_THROW(get(pool.call<int>("builtins:abs", -1)), WorkerError);
  pool.stop({});
  EXPECT_EQ(stops, 0);
}

TEST_F(Hooks, AStopThatFailsIsLoggedAndEndsNothingElse) {
  SubinterpreterExecutor pool(runtime(),
                              {.pinned_workers = 1,
                               .hooks = {.stop = [](Worker&) { throw std::runtime_error("too late"); },
                                         .python_stop = "interpool_probe:no_such_function"}});
  EXPECT_EQ(get(pool.call<int>("builtins:abs", -1)), 1);
  const ExecutorReport report = pool.stop({});
  EXPECT_EQ(report.interpreters_left, 0U);
  const auto log = take_log();
  ASSERT_EQ(log.size(), 2U);
  EXPECT_NE(log[0].find("no_such_function"), std::string::npos) << log[0];
  EXPECT_NE(log[1].find("too late"), std::string::npos) << log[1];
}

TEST_F(Hooks, ABadNameIsFoundAtConstruction) {
  EXPECT_THROW(SubinterpreterExecutor(runtime(), {.hooks = {.python_start = "no colon"}}), UsageError);
  EXPECT_THROW(SubinterpreterExecutor(runtime(), {.hooks = {.python_stop = "a:"}}), UsageError);
}

}  // namespace
}  // namespace interpool::test
