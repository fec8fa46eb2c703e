// The lanes of an executor: which worker, thread and interpreter a task runs in.
#include "support/busy.h"
#include "support/runtime.h"
#include "support/sync.h"

#include "python/cpython.h"
#include "python/thread_state.h"

#include <interpool/interpool.h>

#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <compare>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

namespace interpool::test {
namespace {

/// What a task sees of its place.
struct Place {
  Lane lane{};
  std::size_t index = 0;
  std::int64_t interpreter = -1;
  std::thread::id thread;
};

Place place_of(Worker& worker) {
  return {worker.lane(), worker.index(), worker.interpreter_id(), std::this_thread::get_id()};
}

/// On which threads of the operating system interpreters have been created and ended, as CPython itself
/// tells.
class InterpreterLog {
 public:
  struct End {
    std::int64_t interpreter;
    pid_t thread;
    friend bool operator==(const End&, const End&) = default;
    friend auto operator<=>(const End&, const End&) = default;
  };

  /// Listens from the first call on, and forgets what it has heard. CPython never lets go of it.
  static InterpreterLog& start(SubinterpreterExecutor& pool) {
    static auto* const log = new InterpreterLog;
    if (!log->listens_) {
      get(pool.main().submit([] { EXPECT_EQ(PySys_AddAuditHook(hear, log), 0); }));
      log->listens_ = true;
    }
    const std::lock_guard lock(log->mutex_);
    log->creators_.clear();
    log->ends_.clear();
    return *log;
  }
  [[nodiscard]] std::vector<pid_t> creators() const {
    const std::lock_guard lock(mutex_);
    return creators_;
  }
  [[nodiscard]] std::vector<End> ends() const {
    const std::lock_guard lock(mutex_);
    return ends_;
  }

 private:
  static int hear(const char* event, PyObject* /*arguments*/, void* data) {
    auto* const log = static_cast<InterpreterLog*>(data);
    const std::string_view name = event;
    const std::lock_guard lock(log->mutex_);
    if (name == "cpython.PyInterpreterState_New") {
      log->creators_.push_back(gettid());
    } else if (name == "cpython.PyInterpreterState_Clear") {
      log->ends_.push_back({PyInterpreterState_GetID(PyInterpreterState_Get()), gettid()});
    }
    return 0;
  }

  bool listens_ = false;
  mutable std::mutex mutex_;
  std::vector<pid_t> creators_;
  std::vector<End> ends_;
};

class Lanes : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(runtime().interpreter_count(), 0U) << "left over by the test before"; }
  void TearDown() override {
    EXPECT_EQ(runtime().interpreter_count(), 0U);
    take_log();
  }
};

TEST_F(Lanes, NoInterpreterExistsBeforeTheFirstTaskAndOneAfterIt) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 2, .pooled = {.threads = 4}});
  EXPECT_EQ(runtime().interpreter_count(), 0U);
  auto function = pool.function<int(int)>("builtins:abs");
  (void)pool.pinned(1);
  EXPECT_EQ(get(pool.main().call<int>("builtins:abs", -1)), 1);
  EXPECT_EQ(runtime().interpreter_count(), 0U) << "the main lane needs none";
  EXPECT_EQ(get(function(-1)), 1);
  EXPECT_EQ(runtime().interpreter_count(), 1U);
  EXPECT_EQ(get(pool.pinned(1).call<int>("builtins:abs", -1)), 1);
  EXPECT_EQ(runtime().interpreter_count(), 2U);
}

TEST_F(Lanes, AWorkerWithoutATaskHasNoInterpreter) {
  SubinterpreterExecutor pool(runtime(), {.pooled = {.threads = 8}});
  get(pool.submit([] {}));
  get(pool.main().submit([] {}));  // creating one needs main's GIL for a moment
  EXPECT_EQ(runtime().interpreter_count(), 1U) << "one that ran no task was created";
}

TEST_F(Lanes, PinnedTasksStayOnTheirWorker) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 3});
  EXPECT_EQ(pool.pinned_workers(), 3U);
  EXPECT_EQ(pool.pooled_threads(), 0U);
  std::set<std::thread::id> threads;
  std::set<std::int64_t> interpreters;
  for (std::size_t i = 0; i < 3; ++i) {
    const Place first = get(pool.pinned(i).submit(place_of));
    EXPECT_EQ(first.lane, Lane::kPinned);
    EXPECT_EQ(first.index, i);
    threads.insert(first.thread);
    interpreters.insert(first.interpreter);
    for (int n = 0; n < 10; ++n) {
      const Place again = get(pool.pinned(i).submit(place_of));
      EXPECT_EQ(again.thread, first.thread);
      EXPECT_EQ(again.interpreter, first.interpreter);
    }
  }
  EXPECT_EQ(threads.size(), 3U);
  EXPECT_EQ(interpreters.size(), 3U);
  EXPECT_FALSE(interpreters.contains(0));
}

TEST_F(Lanes, PinnedStateIsStickyAndItsOwn) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 2});
  get(pool.pinned(0).submit([](Worker& w) { w.exec("count = 5"); }));
  EXPECT_EQ(get(pool.pinned(0).submit([](Worker& w) { return w.eval<int>("count"); })), 5);
  EXPECT_THROW(get(pool.pinned(1).submit([](Worker& w) { return w.eval<int>("count"); })), PythonError);
  EXPECT_EQ(get(pool.pinned(0).call<int>("interpool_probe:Counter.next")), 1);
  EXPECT_EQ(get(pool.pinned(0).call<int>("interpool_probe:Counter.next")), 2);
  EXPECT_EQ(get(pool.pinned(1).call<int>("interpool_probe:Counter.next")), 1);
}

TEST_F(Lanes, AddressedTasksKeepTheirOrder) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 2});
  for (const Submitter& lane : {pool.pinned(0), pool.main()}) {
    std::optional<BusyTask> busy(lane);
    std::vector<Future<std::vector<int>>> futures;
    for (int i = 0; i < 100; ++i) futures.push_back(lane.call<std::vector<int>>("interpool_probe:append", i));
    (void)pool.submit([] {});  // a task for anyone, which may come in between
    busy.reset();
    for (std::size_t i = 0; i < futures.size(); ++i) {
      const auto seen = get(futures[i]);
      ASSERT_EQ(seen.size(), i + 1);
      EXPECT_EQ(seen.back(), static_cast<int>(i));
    }
    get(lane.submit([](Worker& w) { w.exec("import interpool_probe; interpool_probe.state.clear()"); }));
  }
}

TEST_F(Lanes, MainTasksRunInTheMainInterpreterOnItsThread) {
  SubinterpreterExecutor pool(runtime(), {.pooled = {.threads = 1}});
  const Place first = get(pool.main().submit(place_of));
  EXPECT_EQ(first.lane, Lane::kMain);
  EXPECT_EQ(first.index, 0U);
  EXPECT_EQ(first.interpreter, 0);
  EXPECT_TRUE(get(pool.main().submit([](Worker& w) {
    w.exec("import threading");
    return w.eval<bool>("threading.current_thread() is threading.main_thread()");
  })));
  SubinterpreterExecutor other(runtime(), {.pooled = {.threads = 1}});
  EXPECT_EQ(get(other.main().submit(place_of)).thread, first.thread) << "executors share the main lane";
}

TEST_F(Lanes, PooledThreadsShareInterpretersByTheirNumber) {
  SubinterpreterExecutor pool(runtime(), {.pooled = {.threads = 4, .interpreters = 2}});
  std::array<std::int64_t, 4> interpreter_of{-1, -1, -1, -1};
  // Tasks that wait without their GIL, so that the threads of an interpreter run side by side.
  Meeting all(5);
  std::vector<Future<void>> futures;
  futures.reserve(4);
  for (int i = 0; i < 4; ++i) {
    futures.push_back(pool.submit([&](Worker& worker) {
      interpreter_of[worker.index()] = worker.interpreter_id();
      const python::GilRelease no_gil;
      all.arrive_and_wait();
    }));
  }
  all.arrive_and_wait();
  for (auto& future : futures) get(future);
  EXPECT_EQ(interpreter_of[0], interpreter_of[2]);
  EXPECT_EQ(interpreter_of[1], interpreter_of[3]);
  EXPECT_NE(interpreter_of[0], interpreter_of[1]);
  EXPECT_EQ(runtime().interpreter_count(), 2U);
}

struct Ownership {
  const char* name;
  ExecutorOptions options;
};
class EveryKindOfWorker : public Lanes, public testing::WithParamInterface<Ownership> {};

TEST_P(EveryKindOfWorker, CreatesEntersAndEndsItsInterpreterOnItsOwnThread) {
  const ExecutorOptions& options = GetParam().options;
  std::optional<SubinterpreterExecutor> pool(std::in_place, runtime(), options);
  const bool pinned = options.pinned_workers > 0;
  const std::size_t workers = pool->pinned_workers() + pool->pooled_threads();
  const InterpreterLog& log = InterpreterLog::start(*pool);
  // One after the other, each worker gets a task, in which it stays until all have one; without its GIL, so
  // that those who share the interpreter come in.
  struct Seen {
    pid_t thread;
    std::int64_t interpreter;
  };
  Event release;
  std::vector<Future<Seen>> futures;
  for (std::size_t i = 0; i < workers; ++i) {
    Event started;
    const Submitter& lane = pinned ? pool->pinned(i) : static_cast<const Submitter&>(*pool);
    futures.push_back(lane.submit([&](Worker& worker) {
      const Seen seen{gettid(), worker.interpreter_id()};
      started.set();
      const python::GilRelease no_gil;
      release.wait();
      return seen;
    }));
    started.wait();
  }
  release.set();
  std::set<pid_t> threads;
  std::set<std::int64_t> interpreters;
  std::vector<pid_t> creators;
  std::vector<InterpreterLog::End> ends;
  for (auto& future : futures) {
    const Seen seen = get(future);
    EXPECT_TRUE(threads.insert(seen.thread).second) << "two workers on one thread";
    // The worker that came into an interpreter first is the one that has to create and to end it.
    if (!interpreters.insert(seen.interpreter).second) continue;
    creators.push_back(seen.thread);
    ends.push_back({seen.interpreter, seen.thread});
  }
  EXPECT_EQ(interpreters.size(), pinned ? workers : options.pooled.interpreters);
  EXPECT_FALSE(threads.contains(gettid()));
  EXPECT_EQ(log.creators(), creators);
  EXPECT_TRUE(log.ends().empty()) << "before the end of the executor";
  pool.reset();
  std::vector<InterpreterLog::End> seen_ends = log.ends();
  std::ranges::sort(seen_ends);
  std::ranges::sort(ends);
  EXPECT_EQ(seen_ends, ends);
}

INSTANTIATE_TEST_SUITE_P(Workers, EveryKindOfWorker,
                         testing::Values(Ownership{"pinned", {.pinned_workers = 2}},
                                         Ownership{"pooled", {.pooled = {.threads = 2, .interpreters = 2}}},
                                         Ownership{"shared", {.pooled = {.threads = 3, .interpreters = 1}}}),
                         [](const testing::TestParamInfo<Ownership>& kind) {
                           return std::string(kind.param.name);
                         });

TEST_F(Lanes, UnaddressedTasksGoToThePooledLane) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1, .pooled = {.threads = 2}});
  for (int i = 0; i < 10; ++i) EXPECT_EQ(get(pool.submit(place_of)).lane, Lane::kPooled);
}

TEST_F(Lanes, UnaddressedTasksGoToAFreePinnedWorkerWhenThereIsNoPool) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 2});
  BusyTask busy(pool.pinned(0));
  for (int i = 0; i < 10; ++i) EXPECT_EQ(get(pool.submit(place_of)).index, 1U);
  busy.release();
  get(busy.future());
  BusyTask other(pool.pinned(1));
  for (int i = 0; i < 10; ++i) EXPECT_EQ(get(pool.submit(place_of)).index, 0U);
}

TEST_F(Lanes, WithNothingAskedForThereIsAPooledThreadPerCore) {
  SubinterpreterExecutor pool(runtime());
  EXPECT_EQ(pool.pooled_threads(), std::thread::hardware_concurrency());
  EXPECT_EQ(pool.pinned_workers(), 0U);
  EXPECT_EQ(get(pool.submit(place_of)).lane, Lane::kPooled);
}

TEST_F(Lanes, NoTaskIsStrandedBehindARunningOne) {
  for (const ExecutorOptions& options :
       {ExecutorOptions{.pooled = {.threads = 2}}, ExecutorOptions{.pinned_workers = 2}}) {
    SubinterpreterExecutor pool(runtime(), options);
    for (int round = 0; round < 20; ++round) {
      // All at once, so that one worker may take several: those behind the first must not wait for it.
      Event release;
      auto blocker = pool.submit([&] { release.wait(); });
      std::vector<Future<int>> others;
      for (int i = 0; i < 5; ++i) others.push_back(pool.call<int>("builtins:abs", -i));
      for (int i = 0; i < 5; ++i) EXPECT_EQ(get(others[static_cast<std::size_t>(i)]), i);
      EXPECT_FALSE(blocker.ready());
      release.set();
      get(blocker);
    }
  }
}

TEST_F(Lanes, FourBlockingTasksOverlapInOneInterpreter) {
  SubinterpreterExecutor pool(runtime(), {.pooled = {.threads = 4, .interpreters = 1}});
  for (int round = 0; round < 5; ++round) {
    std::vector<Future<std::int64_t>> futures;
    for (int i = 0; i < 4; ++i) {
      futures.push_back(pool.call<std::int64_t>("interpool_probe:meet", "round " + std::to_string(round), 4));
    }
    std::set<std::int64_t> threads;
    for (auto& future : futures) threads.insert(get(future));
    EXPECT_EQ(threads.size(), 4U);
  }
  EXPECT_EQ(runtime().interpreter_count(), 1U);
}

TEST_F(Lanes, AnInterpreterWhoseGilIsHeldKeepsNobodyFromTheOther) {
  SubinterpreterExecutor pool(runtime(), {.pooled = {.threads = 4, .interpreters = 2}});
  for (int round = 0; round < 5; ++round) {
    BusyTask native(pool);  // holds one of the two GILs
    // These two can only meet in the other interpreter, on its two threads.
    const std::string name = "round " + std::to_string(round);
    auto first = pool.call<std::int64_t>("interpool_probe:meet", name, 2);
    auto second = pool.call<std::int64_t>("interpool_probe:meet", name, 2);
    EXPECT_NE(get(first), get(second));
    std::vector<Future<int>> more;
    for (int i = 0; i < 20; ++i) more.push_back(pool.call<int>("builtins:abs", -i));
    for (auto& future : more) EXPECT_GE(get(future), 0);
    native.release();
    get(native.future());
  }
}

TEST_F(Lanes, FunctionsAreFoundByTheirQualifiedNames) {
  SubinterpreterExecutor pool(runtime(), {.pooled = {.threads = 1}});
  EXPECT_EQ(get(pool.call<int>("interpool_probe:Counter.double", 4)), 8);
  EXPECT_EQ(get(pool.call<std::string>("interpool_probe:Counter.Inner.name")), "inner");
  EXPECT_EQ(get(pool.call<std::string>("os.path:join", "a", "b")), "a/b");
  EXPECT_EQ(get(pool.call<std::string>("builtins:str.upper", "a")), "A");
  const auto root = pool.function<double(double)>("math:sqrt");
  EXPECT_EQ(root.name(), "math:sqrt");
  EXPECT_EQ(get(root(4.0)), 2.0);
  const auto copy = root.with({.name = "root"});
  EXPECT_EQ(error_of<PythonError>(copy(-1.0)).task(), "root");
  const auto pinned_like = pool.function<std::string(const std::string&, int)>("builtins:str.zfill");
  EXPECT_EQ(get(pinned_like("7", 3)), "007");
  EXPECT_EQ(get(pool.main().function<double(double)>("math:sqrt")(9.0)), 3.0);
}

TEST_F(Lanes, BadNamesAreRefusedAtOnce) {
  SubinterpreterExecutor pool(runtime(), {.pooled = {.threads = 1}});
  for (const char* name : {"", "math", ":sqrt", "math:", "math:.sqrt", "math:sqrt.", "math:a..b",
                           ".math:sqrt", "math.:f", "a:b:c", "a..b:c"}) {
    EXPECT_THROW((void)pool.call<double>(name, 1.0), UsageError) << name;
    EXPECT_THROW((void)pool.function<double(double)>(name), UsageError) << name;
    EXPECT_THROW((void)pool.map<double>(name, std::vector<double>{1.0}), UsageError) << name;
  }
  EXPECT_THROW((void)pool.call<double>(std::string_view("math:sq\0rt", 10), 1.0), UsageError);
  EXPECT_THROW((void)pool.pinned(0), UsageError);
  EXPECT_EQ(runtime().interpreter_count(), 0U);
}

TEST_F(Lanes, AFunctionIsLookedUpOncePerInterpreter) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 2});
  const auto lookups = [&](std::size_t i) {
    return get(pool.pinned(i).submit([](Worker& w) { return w.eval<int>("lookups.n"); }));
  };
  for (std::size_t i = 0; i < 2; ++i) {
    get(pool.pinned(i).submit([](Worker& w) {
      w.exec(
          "import sys, types\n"
          "class lookups: n = 0\n"
          "class Module(types.ModuleType):\n"
          "  def __getattr__(self, name):\n"
          "    if name != 'f': raise AttributeError(name)\n"
          "    lookups.n += 1\n"
          "    return abs\n"
          "sys.modules['counted'] = Module('counted')");
    }));
    for (int n = 0; n < 5; ++n) EXPECT_EQ(get(pool.pinned(i).call<int>("counted:f", -n)), n);
    EXPECT_EQ(lookups(i), 1);
  }
}

TEST_F(Lanes, AFailedLookupIsTriedAgain) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1});
  EXPECT_THROW(get(pool.pinned(0).call<int>("made_later:f", 1)), PythonError);
  get(pool.pinned(0).submit([](Worker& w) {
    w.exec("import sys, types; m = types.ModuleType('made_later'); m.f = abs; sys.modules['made_later'] = m");
  }));
  EXPECT_EQ(get(pool.pinned(0).call<int>("made_later:f", -1)), 1);
}

TEST_F(Lanes, TheWorkerOffersTheInterpreter) {
  SubinterpreterExecutor pool(runtime(), {.pooled = {.threads = 1}});
  EXPECT_EQ(get(pool.submit([](Worker& w) {
              w.import_module("json");
              w.exec("def twice(n):\n    return 2 * n");
              return w.call<std::string>("json:dumps", std::vector<int>{w.eval<int>("twice(4)")});
            })),
            "[8]");
  EXPECT_EQ(get(pool.submit([](Worker& w) { return w.eval<int>("  1 + 1"); })), 2);
  EXPECT_STREQ(to_string(Lane::kPinned), "pinned");
  EXPECT_STREQ(to_string(Lane::kMain), "main");
}

TEST_F(Lanes, AWorkerIsForItsTaskOnly) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 2});
  Event kept;
  Event release;
  Worker* others = nullptr;
  auto keeper = pool.pinned(0).submit([&](Worker& worker) {
    others = &worker;
    kept.set();
    release.wait();
    return worker.eval<int>("1");
  });
  kept.wait();
  const auto refused = [&] {
    EXPECT_THROW((void)others->eval<int>("2"), UsageError);
    EXPECT_THROW(others->exec("import json"), UsageError);
    EXPECT_THROW((void)others->call<int>("builtins:abs", -2), UsageError);
    EXPECT_THROW(others->import_module("json"), UsageError);
  };
  refused();  // here there is no GIL at all
  get(pool.pinned(1).submit([&](Worker& worker) {
    refused();
    EXPECT_EQ(worker.eval<int>("3"), 3);
  }));
  release.set();
  EXPECT_EQ(get(keeper), 1);
}

TEST_F(Lanes, ATaskWithoutAWorkerRunsUnderTheGilToo) {
  SubinterpreterExecutor pool(runtime(), {.pooled = {.threads = 1}});
  EXPECT_TRUE(get(pool.submit([] { return python::current_thread_state() != nullptr; })));
}

// --- preload and set-up ------------------------------------------------------------------------

/// A folder on the module path whose modules a test writes.
class Modules {
 public:
  Modules() {
    std::string name = (std::filesystem::temp_directory_path() / "interpool-modules-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    folder_ = name;
  }
  ~Modules() { std::filesystem::remove_all(folder_); }
  Modules(const Modules&) = delete;
  Modules& operator=(const Modules&) = delete;
  void write(const std::string& module, const std::string& code) const {
    std::ofstream(folder_ / (module + ".py")) << code;
  }
  [[nodiscard]] std::string folder() const { return folder_.string(); }

 private:
  std::filesystem::path folder_;
};

TEST_F(Lanes, PreloadedModulesAreThereBeforeTheFirstTask) {
  SubinterpreterExecutor pool(runtime(),
                              {.pinned_workers = 2, .preload = {"json", "interpool_probe", "os.path"}});
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_TRUE(get(pool.pinned(i).submit([](Worker& w) {
      w.exec("import sys");
      return w.eval<bool>("{'json', 'interpool_probe', 'os.path'} <= set(sys.modules)");
    })));
  }
}

TEST_F(Lanes, APreloadThatFailsFailsTheTaskAndTheNextTriesAgain) {
  const Modules modules;
  // Fails in the first attempt of the process only: the flag is in the environment of all interpreters.
  modules.write("interpool_flaky",
                "import os, sys\n"
                "if not os.path.exists(os.path.join(os.path.dirname(__file__), 'repaired')):\n"
                "    raise RuntimeError('not today')\n");
  ::setenv("INTERPOOL_TEST_MODULES", modules.folder().c_str(), 1);
  SubinterpreterExecutor pool(
      runtime(),
      {.name = "flaky", .pinned_workers = 2, .preload = {"interpool_flaky_path", "interpool_flaky"}});
  auto failed = pool.pinned(0).with({.name = "first"}).call<int>("builtins:abs", -1);
  const auto error = error_of<WorkerError>(std::move(failed));
  EXPECT_EQ(error.code(), ErrorCode::kWorker);
  EXPECT_EQ(error.task(), "first");
  EXPECT_NE(error.message().find("preload interpool_flaky"), std::string::npos) << error.message();
  EXPECT_NE(error.message().find("not today"), std::string::npos) << error.message();
  bool ran = false;
  EXPECT_THROW(get(pool.pinned(0).submit([&] { ran = true; })), WorkerError);
  EXPECT_FALSE(ran);

  EXPECT_EQ(get(pool.main().call<int>("builtins:abs", -1)), 1) << "others are unaffected";
  std::ofstream(std::filesystem::path(modules.folder()) / "repaired") << "";
  EXPECT_EQ(get(pool.pinned(0).call<int>("builtins:abs", -1)), 1);
  EXPECT_EQ(get(pool.pinned(1).call<int>("builtins:abs", -1)), 1);
  EXPECT_EQ(pool.counts().failed, 2U);
}

TEST_F(Lanes, WorkersThatCannotBeSetUpDoNotTakeThePoolDown) {
  SubinterpreterExecutor broken(runtime(), {.pooled = {.threads = 2}, .preload = {"no_such_module"}});
  SubinterpreterExecutor healthy(runtime(), {.pooled = {.threads = 1}});
  for (int i = 0; i < 10; ++i) EXPECT_THROW(get(broken.call<int>("builtins:abs", -i)), WorkerError);
  EXPECT_EQ(get(healthy.call<int>("builtins:abs", -1)), 1);
  const auto report = broken.stop({});
  EXPECT_EQ(report.tasks.failed, 10U);
  EXPECT_EQ(report.tasks.settled(), report.tasks.accepted);
  EXPECT_EQ(report.interpreters_left, 0U);
}

TEST_F(Lanes, APreloadThatExitsIsAFailureLikeAnyOther) {
  const Modules modules;
  modules.write("interpool_exits", "raise SystemExit(3)\n");
  ::setenv("INTERPOOL_TEST_MODULES", modules.folder().c_str(), 1);
  SubinterpreterExecutor pool(
      runtime(), {.pooled = {.threads = 1}, .preload = {"interpool_flaky_path", "interpool_exits"}});
  EXPECT_THROW(get(pool.call<int>("builtins:abs", -1)), WorkerError);
}

// --- GILs of callers -----------------------------------------------------------------------------

TEST_F(Lanes, AMainTaskMayWaitForATaskThatImportsAnExtension) {
  // The first import of an extension in any interpreter needs main's GIL, and so does creating one. A
  // task that waits in the main interpreter must not keep it.
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 2});
  auto outer = pool.main().submit([&](Worker&) {
    auto importing = pool.pinned(0).submit([](Worker& w) {
      w.exec("import zlib, _json, _bisect, _heapq");
      return w.eval<int>("zlib.crc32(b'')");
    });
    const int result_of_get = get(importing);
    auto waited = pool.pinned(1).submit([](Worker& w) { w.exec("import _csv, _struct"); });
    waited.wait();
    return result_of_get;
  });
  EXPECT_EQ(get(outer), 0);
}

TEST_F(Lanes, AMainTaskMayMakeStopAndDrainOtherExecutors) {
  SubinterpreterExecutor pool(runtime(), {.pooled = {.threads = 1}});
  auto outer = pool.main().submit([&](Worker& worker) {
    SubinterpreterExecutor inner(runtime(), {.pooled = {.threads = 2}, .queue_capacity = 1});
    int sum = 0;
    std::vector<Future<int>> futures;
    for (int i = 0; i < 20; ++i) {  // blocks for room, while the interpreters still have to be created
      futures.push_back(inner.submit([i](Worker& w) {
        w.exec("import _random, _opcode");
        return i;
      }));
    }
    EXPECT_TRUE(inner.drain(std::chrono::seconds(60)));
    for (auto& future : futures) sum += future.get();
    return sum + worker.eval<int>("0");
  });
  EXPECT_EQ(get(outer), 190);
}

}  // namespace
}  // namespace interpool::test
