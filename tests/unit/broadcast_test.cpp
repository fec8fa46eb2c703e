// Calls in every interpreter, present and future, and looking things up anew.
#include "support/busy.h"
#include "support/runtime.h"
#include "support/sync.h"

#include <interpool/interpool.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace interpool::test {
namespace {

class Broadcasts : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(runtime().interpreter_count(), 0U); }
  void TearDown() override {
    {
      SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1});
      get(pool.main().call<void>("interpool_probe:configure", nullptr));
    }
    wait_for_interpreters(0);
    EXPECT_EQ(take_log(), std::vector<std::string>{});
  }
};

constexpr const char* kConfigure = "interpool_probe:configure";
constexpr const char* kConfigured = "interpool_probe:configured";

TEST_F(Broadcasts, ReachEveryInterpreterThatIsThere) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 2, .pooled = {.threads = 2, .interpreters = 1}});
  get(pool.pinned(0).call<void>("builtins:abs", 1));
  get(pool.call<void>("builtins:abs", 1));
  const auto answers = get(pool.broadcast<int>(kConfigure, 10));
  ASSERT_EQ(answers.size(), 3U) << "main, pinned 0, and the pooled one; pinned 1 is not there yet";
  EXPECT_EQ(answers[0].lane, Lane::kMain);
  EXPECT_EQ(answers[0].interpreter, 0);
  EXPECT_EQ(answers[1].lane, Lane::kPinned);
  EXPECT_EQ(answers[2].lane, Lane::kPooled);
  for (const auto& answer : answers) EXPECT_EQ(answer.value, 10);
  for (const Submitter& where : {pool.main(), pool.pinned(0), static_cast<const Submitter&>(pool)})
    EXPECT_EQ(get(where.call<int>(kConfigured)), 10);
}

TEST_F(Broadcasts, TakeCallbacksEverywhere) {
  int destroyed = 0;
  std::atomic<int> calls = 0;
  {
    SubinterpreterExecutor pool(runtime(), {.pinned_workers = 2});
    get(pool.pinned(0).call<void>("builtins:abs", 1));
    const std::shared_ptr<int> alive(&destroyed, [](int* count) { ++*count; });
    const auto answers =
        get(pool.broadcast<int>("operator:call", Callback([&calls, alive] { return ++calls; })));
    ASSERT_EQ(answers.size(), 2U) << "main and pinned 0";
    get(pool.pinned(1).call<void>("builtins:abs", 1));
    EXPECT_EQ(calls, 3) << "pinned 1 has called it while it was set up";
    AttachedThread attached = pool.attach();
    EXPECT_EQ(calls, 4);
  }
  EXPECT_EQ(destroyed, 1) << "its arguments die with the executor";
}

TEST_F(Broadcasts, ReachInterpretersThatComeLater) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 2});
  get(pool.broadcast(kConfigure, 1));
  get(pool.broadcast(kConfigure, 2));
  EXPECT_EQ(runtime().interpreter_count(), 0U) << "they are not created for that";
  EXPECT_EQ(get(pool.pinned(1).call<int>(kConfigured)), 2) << "in their order, before the first task";
  std::thread([&] { EXPECT_EQ(pool.attach().call<int>(kConfigured), 2); }).join();
}

TEST_F(Broadcasts, ATaskBegunLaterSeesItEverywhere) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1, .pooled = {.threads = 3, .interpreters = 2}});
  std::vector<Future<int>> all;
  for (int round = 1; round <= 20; ++round) {
    auto done = pool.broadcast<int>(kConfigure, round);
    // Not waited for: what is submitted after broadcast() has returned sees it.
    for (int i = 0; i < 4; ++i) all.push_back(pool.call<int>(kConfigured));
    all.push_back(pool.pinned(0).call<int>(kConfigured));
    for (auto& future : all) EXPECT_GE(get(future), round);
    all.clear();
    get(done);
  }
}

TEST_F(Broadcasts, AWorkerMakesTheCallBetweenTwoTasks) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1});
  get(pool.pinned(0).call<void>(kConfigure, 0));
  BusyTask busy(pool.pinned(0));
  Future<int> queued = pool.pinned(0).call<int>(kConfigured);
  auto done = pool.broadcast(kConfigure, 5);
  EXPECT_FALSE(done.ready()) << "the worker is still at its task";
  busy.release();
  get(done);
  EXPECT_EQ(get(queued), 5) << "it was submitted before, but begins after";
}

TEST_F(Broadcasts, AnAttachedThreadMakesItBeforeItsNextCall) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1});
  std::thread([&] {
    AttachedThread python = pool.attach();
    python.call<void>(kConfigure, 0);
    EXPECT_EQ(get(pool.broadcast<int>(kConfigure, 6)).size(), 1U) << "main; who is attached is not asked";
    EXPECT_EQ(python.call<int>(kConfigured), 6);
  }).join();
}

TEST_F(Broadcasts, AFailureIsTheirsWhoAskedAndNoOnesElse) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 2});
  get(pool.pinned(0).call<void>("builtins:abs", 1));
  EXPECT_EQ(error_of<PythonError>(pool.broadcast("interpool_probe:no_such_function")).type(),
            "AttributeError");
  EXPECT_EQ(get(pool.pinned(0).call<int>("builtins:abs", -1)), 1);
  EXPECT_EQ(get(pool.pinned(1).call<int>("builtins:abs", -1)), 1) << "what has failed is not repeated";
}

TEST_F(Broadcasts, EachOnesOwnOutcomeOnRequest) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 2});
  get(pool.pinned(0).submit([](Worker& python) { python.exec("import builtins; builtins.good = True"); }));
  get(pool.pinned(1).call<void>("builtins:abs", 1));
  auto answers = get(pool.broadcast<Result<bool>>("interpool_probe:evaluate", "good"));
  ASSERT_EQ(answers.size(), 3U);
  EXPECT_FALSE(answers[0].value.has_value());
  EXPECT_TRUE(answers[1].value.has_value());
  EXPECT_FALSE(answers[2].value.has_value());
  EXPECT_EQ(answers[2].value.failure()->interpreter(), answers[2].interpreter);
}

TEST_F(Broadcasts, OneThatFailsOnlyLaterIsTheErrorOfTheTasksThere) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1});
  // Nothing but main is there, where it works.
  get(pool.main().submit([](Worker& python) { python.exec("import builtins; builtins.only_main = 1"); }));
  get(pool.broadcast("interpool_probe:evaluate", "only_main"));
  for (int i = 0; i < 2; ++i) {
    const auto error = error_of<WorkerError>(pool.call<int>("builtins:abs", -1));
    EXPECT_NE(error.message().find("broadcast interpool_probe:evaluate"), std::string::npos)
        << error.message();
    EXPECT_NE(error.message().find("only_main"), std::string::npos) << error.message();
  }
  std::thread([&] { EXPECT_THROW((void)pool.attach(), WorkerError); }).join();
}

TEST_F(Broadcasts, AreRefusedByAClosedExecutorAndCancelledWithIt) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1});
  BusyTask busy(pool.pinned(0));
  auto waiting = pool.broadcast(kConfigure, 1);
  EXPECT_GE(pool.cancel_queued(), 1U) << "the pinned one's answer; main's may be there";
  busy.release();
  EXPECT_THROW(get(waiting), CancelledError);
  pool.close();
  EXPECT_THROW((void)pool.broadcast(kConfigure, 1), ShutdownError);
  EXPECT_THROW((void)pool.broadcast("no function"), UsageError);
}

TEST_F(Broadcasts, OneThatHangsDoesNotHoldUpTheEnd) {
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("interpool-hold-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1});
  EXPECT_EQ(get(pool.call<int>("builtins:abs", -1)), 1);
  auto done = pool.broadcast("interpool_probe:hold_in_a_sub_interpreter", folder / "go");
  Future<int> behind = pool.call<int>("builtins:abs", -1);
  wait_until([&] { return std::filesystem::exists(folder / "go.held"); });
  const ExecutorReport report = pool.stop({.timeout = std::chrono::milliseconds(1)});
  EXPECT_EQ(report.tasks.settled(), report.tasks.accepted);
  EXPECT_THROW(get(done), CancelledError);
  EXPECT_THROW(get(behind), CancelledError);
  EXPECT_EQ(report.interpreters_left, 1U);
  std::ofstream(folder / "go").flush();
  wait_for_interpreters(0);
  std::filesystem::remove_all(folder);
  EXPECT_EQ(take_log().size(), 1U) << "an interpreter that was left standing";
}

TEST_F(Broadcasts, FullQueuesDoNotRefuseThem) {
  SubinterpreterExecutor pool(runtime(),
                              {.pinned_workers = 1, .queue_capacity = 1, .when_full = WhenFull::kReject});
  BusyTask busy(pool.pinned(0));
  Future<int> fills = pool.pinned(0).call<int>("builtins:abs", -1);
  auto done = pool.broadcast(kConfigure, 1);
  busy.release();
  get(done);
  EXPECT_EQ(get(fills), 1);
}

TEST_F(Broadcasts, InterpretersComeAndGoMeanwhile) {
  constexpr int kRounds = 10;
  std::atomic<bool> done = false;
  std::thread comings([&] {
    while (!done) {
      SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1});
      get(pool.broadcast(kConfigure, 1));
      EXPECT_EQ(get(pool.call<int>("builtins:abs", -1)), 1);
    }
  });
  for (int round = 0; round < kRounds; ++round) {
    SubinterpreterExecutor pool(runtime(),
                                {.pinned_workers = 1, .pooled = {.threads = 3, .interpreters = 2}});
    std::vector<Future<int>> tasks;
    for (int i = 0; i < 6; ++i) tasks.push_back(pool.call<int>("builtins:abs", -1));
    auto first = pool.broadcast<int>(kConfigure, round);
    for (int i = 0; i < 6; ++i) tasks.push_back(pool.call<int>("builtins:abs", -1));
    auto second = pool.broadcast<int>(kConfigure, round);
    for (auto& task : tasks) EXPECT_EQ(get(task), 1);
    for (const auto& answer : get(first)) EXPECT_EQ(answer.value, round);
    for (const auto& answer : get(second)) EXPECT_EQ(answer.value, round);
  }
  done = true;
  comings.join();
}

/// A module whose source changes.
class ChangingModule {
 public:
  explicit ChangingModule(SubinterpreterExecutor& pool)
      : folder_(std::filesystem::temp_directory_path() / ("interpool-reload-" + std::to_string(getpid()))) {
    std::filesystem::create_directories(folder_);
    get(pool.broadcast("interpool_probe:add_path", folder_));
  }
  ~ChangingModule() { std::filesystem::remove_all(folder_); }
  ChangingModule(const ChangingModule&) = delete;
  ChangingModule& operator=(const ChangingModule&) = delete;

  void write(const std::string& text) const { std::ofstream(folder_ / "interpool_changing.py") << text; }

 private:
  std::filesystem::path folder_;
};

TEST_F(Broadcasts, ReloadLooksModulesAndFunctionsUpAnew) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 2});
  const ChangingModule module(pool);
  module.write("def answer(): return 1\n");
  const auto answer = pool.pinned(0).function<int()>("interpool_changing:answer");
  EXPECT_EQ(get(answer()), 1);
  module.write("def answer(): return 4321\n");
  EXPECT_EQ(get(answer()), 1);
  EXPECT_EQ(get(pool.reload({"interpool_changing", "not_imported_anywhere"})).size(), 2U);
  EXPECT_EQ(get(answer()), 4321);
  EXPECT_EQ(get(pool.pinned(1).call<int>("interpool_changing:answer")), 4321);
  // Without modules: what has been replaced by other means is found.
  get(pool.pinned(0).submit([](Worker& python) {
    python.exec("import interpool_changing\ninterpool_changing.answer = lambda: 3\n");
  }));
  EXPECT_EQ(get(answer()), 4321);
  get(pool.reload());
  EXPECT_EQ(get(answer()), 3);
}

TEST_F(Broadcasts, AReloadThatFailsSaysSoAndLeavesTheRestUsable) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1});
  const ChangingModule module(pool);
  module.write("def answer(): return 1\n");
  EXPECT_EQ(get(pool.call<int>("interpool_changing:answer")), 1);
  module.write("def answer() return 2\n");
  EXPECT_EQ(error_of<PythonError>(pool.reload({"interpool_changing"})).type(), "SyntaxError");
  EXPECT_EQ(get(pool.call<int>("interpool_changing:answer")), 1);
  EXPECT_THROW((void)pool.reload({""}), UsageError);
}

}  // namespace
}  // namespace interpool::test
