// How processes end, fork, and share a Python that was there before.
#include "support/busy.h"
#include "support/scenario.h"
#include "support/sync.h"

#include "python/cpython.h"

#include <interpool/interpool.h>

#include <gtest/gtest.h>

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace interpool::test {
namespace {

using namespace std::chrono_literals;

template <class T>
T eval(const Submitter& lane, const std::string& expression) {
  return get(lane.submit([&](Worker& worker) { return worker.eval<T>(expression); }));
}
void exec(const Submitter& lane, const std::string& code) {
  get(lane.submit([&](Worker& worker) { worker.exec(code); }));
}
std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}
bool mentions(const StopReport& report, const std::string& text) {
  return std::ranges::any_of(report.problems,
                             [&](const std::string& line) { return line.find(text) != std::string::npos; });
}

// --- what Python does at its end -------------------------------------------------------------------

SCENARIO(atexit_callbacks) {
  {
    Runtime python;
    SubinterpreterExecutor pool(python, {.pinned_workers = 2});
    for (const Submitter& lane : std::vector<Submitter>{pool.pinned(0), pool.pinned(1), pool.main()}) {
      exec(lane,
           "import atexit, threading\n"
           "me = threading.get_native_id()\n"
           "def bye():\n"
           "  print('bye', threading.get_native_id() == me)\n"
           "atexit.register(bye)\n");
    }
  }
  std::fflush(stdout);
  return 0;
}
TEST(EndScenario, AtexitCallbacksRunOnceOnTheirThreads) {
  const Child child = run_scenario("atexit_callbacks");
  EXPECT_TRUE(child.exited_with(0)) << child;
  EXPECT_EQ(child.out, "bye True\nbye True\nbye True\n");
  EXPECT_EQ(child.err, "");
}

SCENARIO(main_threads_are_joined) {
  Runtime python;
  SubinterpreterExecutor pool(python, {.pooled = {.threads = 1}});
  for (const Submitter& lane : std::vector<Submitter>{pool, pool.main()}) {
    exec(lane,
         "import threading, concurrent.futures\n"
         "go = threading.Event()\n"
         "def work():\n"
         "  go.wait()\n"
         "  print('joined')\n"
         "threading.Thread(target=work).start()\n"
         "threading._register_atexit(go.set)\n"
         "pool = concurrent.futures.ThreadPoolExecutor(2)\n"
         "pool.submit(abs, -1).result()\n");
  }
  const StopReport report = python.stop(kPatience);
  REQUIRE(report.clean);
  std::fflush(stdout);
  return 0;
}
TEST(EndScenario, PythonThreadsAreJoined) {
  const Child child = run_scenario("main_threads_are_joined");
  EXPECT_TRUE(child.exited_with(0)) << child;
  EXPECT_EQ(child.out, "joined\njoined\n");
  EXPECT_EQ(child.err, "");
}

SCENARIO(python_asks_for_its_thread) {
  Runtime python;
  SubinterpreterExecutor pool(python, {.pinned_workers = 1, .pooled = {.threads = 2, .interpreters = 1}});
  for (const Submitter& lane : std::vector<Submitter>{pool.pinned(0), pool, pool, pool.main()}) {
    // As logging does with every record.
    exec(lane, "import threading; name = threading.current_thread().name");
  }
  return 0;
}
TEST(EndScenario, ThreadsThatPythonDidNotStartEndWithoutNoise) {
  const Child child = run_scenario("python_asks_for_its_thread");
  EXPECT_TRUE(child.exited_with(0)) << child;
  EXPECT_EQ(child.err, "");
}

SCENARIO(raw_thread_in_a_worker) {
  Runtime python;
  SubinterpreterExecutor pool(python, {.pinned_workers = 2});
  exec(pool.pinned(0),
       "import _thread\n"
       "lock = _thread.allocate_lock(); lock.acquire()\n"
       "started = _thread.allocate_lock(); started.acquire()\n"
       "def work():\n"
       "  started.release()\n"
       "  lock.acquire()\n"
       "_thread.start_new_thread(work, ())\n"
       "started.acquire()\n");
  exec(pool.pinned(1), "pass");
  const ExecutorReport report = pool.stop({.timeout = 200ms});
  REQUIRE(report.interpreters_left == 1);
  REQUIRE(report.abandoned.empty());
  REQUIRE(python.interpreter_count() == 1);
  const StopReport stopped = python.stop(1s);
  REQUIRE(!stopped.clean);
  REQUIRE(mentions(stopped, "standing"));
  return 4;
}
TEST(EndScenario, ARawThreadLeavesItsInterpreterStanding) {
  const Child child = run_scenario("raw_thread_in_a_worker");
  EXPECT_TRUE(child.exited_with(4)) << child;
  EXPECT_NE(child.err.find("left standing"), std::string::npos) << child;
}

SCENARIO(raw_thread_in_main) {
  Runtime python;
  SubinterpreterExecutor pool(python, {.pooled = {.threads = 1}});
  exec(pool.main(),
       "import _thread, atexit\n"
       "lock = _thread.allocate_lock(); lock.acquire()\n"
       "_thread.start_new_thread(lock.acquire, ())\n"
       "atexit.register(print, 'bye')\n");
  python.stop(kPatience);
  std::fflush(stdout);
  return 4;
}
TEST(EndScenario, ARawThreadInTheMainInterpreterDoesNoHarm) {
  const Child child = run_scenario("raw_thread_in_main");
  EXPECT_TRUE(child.exited_with(4)) << child;
  EXPECT_EQ(child.out, "bye\n");
}

SCENARIO(buffers_after_the_end) {
  // One that C++ holds, one that only the main interpreter holds, a result that nobody has taken, and a part
  // of memory whose other handles died inside Python.
  std::atomic<int> released = 0;
  const auto make = [&released](std::size_t size) {
    auto* memory = new std::vector<char>(size, 'x');
    return Buffer::adopt(memory->data(), size, [&released, memory](void*) {
      delete memory;
      ++released;
    });
  };
  Buffer held = make(3);
  Buffer part;
  Future<Buffer> unread;
  {
    Runtime python;
    SubinterpreterExecutor pool(python, {.pinned_workers = 1});
    exec(pool.main(),
         "import __main__\nkept = None\ndef keep(buffer):\n  global kept\n  kept = memoryview(buffer)");
    get(pool.main().call<void>("__main__:keep", make(4)));
    get(pool.pinned(0).call<void>("builtins:len", held));
    unread = pool.pinned(0).submit([&](Worker&) { return make(5); });
    part = get(pool.pinned(0).call<Buffer>("builtins:memoryview", make(6))).view({.shape = {2, 3}});
    unread.wait();
  }
  REQUIRE(released == 0);
  REQUIRE(part.bytes()[1] == std::byte{'x'});
  std::thread([&] {
    held = {};
    part = {};
    REQUIRE(released == 2);
    REQUIRE(unread.get().size() == 5);
  }).join();
  REQUIRE(released == 3);
  const PyGILState_STATE state = PyGILState_Ensure();
  REQUIRE(PyRun_SimpleString("import __main__; assert bytes(kept) == b'xxxx'; kept = None") == 0);
  PyGILState_Release(state);
  REQUIRE(released == 4);
  return 0;
}
TEST(EndScenario, BuffersOutliveTheRuntime) {
  const Child child = run_scenario("buffers_after_the_end");
  EXPECT_TRUE(child.exited_with(0)) << child;
}

SCENARIO(attaches_after_the_end) {
  // Like a foreign thread of an extension that comes late: the interpreter is quiesced, not gone.
  auto python = std::make_unique<Runtime>();
  python.reset();
  std::thread([] {
    const PyGILState_STATE state = PyGILState_Ensure();
    REQUIRE(PyRun_SimpleString("import json; print(json.dumps([1]), flush=True)") == 0);
    PyGILState_Release(state);
  }).join();
  return 0;
}
TEST(EndScenario, AForeignThreadFindsALiveInterpreterAfterTheEnd) {
  const Child child = run_scenario("attaches_after_the_end");
  EXPECT_TRUE(child.exited_with(0)) << child;
  EXPECT_EQ(child.out, "[1]\n");
}

// --- what is stuck -------------------------------------------------------------------------------------

SCENARIO(stuck_in_a_worker) {
  auto started = std::make_shared<Event>();
  Future<void> stuck;
  {
    Runtime python({.stop_timeout = 100ms});
    SubinterpreterExecutor pool(python, {.name = "stuck", .pooled = {.threads = 2}, .stop_timeout = 100ms});
    exec(pool.main(), "import atexit; atexit.register(print, 'bye')\nprint('buffered', end=' ')");
    const bool holds_gil = scenario_arguments().at(0) == "native";
    stuck = pool.submit([started, holds_gil](Worker& worker) {
      started->set();
      if (holds_gil) {
        for (;;) pause();
      }
      worker.exec("import time\nwhile True: time.sleep(1)");
    });
    started->wait();
  }
  REQUIRE_THROWS(stuck.get(), AbandonedError);
  std::fflush(stdout);
  _exit(7);
}
TEST(EndScenario, AStuckWorkerDelaysTheEndByItsBoundOnly) {
  for (const char* kind : {"native", "python"}) {
    const Child child = run_scenario("stuck_in_a_worker", {kind});
    EXPECT_TRUE(child.exited_with(7)) << child;
    EXPECT_EQ(child.out, "buffered bye\n");
    EXPECT_NE(child.err.find("'stuck'"), std::string::npos) << child;
  }
}

SCENARIO(stuck_at_home) {
  Runtime python;
  SubinterpreterExecutor pool(python, {.pooled = {.threads = 1}});
  exec(pool.main(), "import atexit; atexit.register(print, 'bye')\nprint('buffered', end=' ')");
  auto started = std::make_shared<Event>();
  const bool holds_gil = scenario_arguments().at(0) == "native";
  auto stuck = pool.main().submit([started, holds_gil](Worker& worker) {
    if (!holds_gil) worker.exec("import time");
    started->set();
    if (holds_gil) {
      for (;;) pause();
    }
    worker.exec("while True: time.sleep(1)");
  });
  started->wait();
  const StopReport report = python.stop(100ms);
  REQUIRE_THROWS(stuck.get(), AbandonedError);
  REQUIRE(!report.clean);
  REQUIRE(mentions(report, "main lane"));
  REQUIRE(mentions(report, "GIL is held") == holds_gil);
  REQUIRE(python.interpreter_count() == 0);
  std::fflush(stdout);
  _exit(8);
}
TEST(EndScenario, AStuckHomeThreadDoesNotKeepPythonFromItsEnd) {
  const Child sleeping = run_scenario("stuck_at_home", {"python"});
  EXPECT_TRUE(sleeping.exited_with(8)) << sleeping;
  EXPECT_EQ(sleeping.out, "buffered bye\n");
  const Child holding = run_scenario("stuck_at_home", {"native"});
  EXPECT_TRUE(holding.exited_with(8)) << holding;
  EXPECT_EQ(holding.out, "") << "nobody can run Python there";
}

SCENARIO(stuck_destructor_of_a_late_task) {
  Runtime python;
  SubinterpreterExecutor pool(python, {.name = "late", .pooled = {.threads = 1}});
  BusyTask busy(pool);
  Event dying;
  auto late = pool.with({.timeout = 1ms}).submit([stuck = AtDeath([&] {
                                                    dying.set();
                                                    for (;;) pause();
                                                  })] {});
  dying.wait();
  busy.release();
  const StopReport report = python.stop(100ms);
  REQUIRE(!report.clean);
  REQUIRE(mentions(report, "1 tasks had not settled"));
  REQUIRE(!late.ready());
  _exit(11);
}
TEST(EndScenario, ADestructorThatDoesNotReturnDelaysTheEndByItsBoundOnly) {
  const Child child = run_scenario("stuck_destructor_of_a_late_task");
  EXPECT_TRUE(child.exited_with(11)) << child;
  EXPECT_NE(child.err.find("stuck on its way out"), std::string::npos) << child;
  EXPECT_EQ(child.err.find("a bug of interpool"), std::string::npos) << child;
}

SCENARIO(stop_in_a_destructor_of_a_late_task) {
  Runtime python;
  SubinterpreterExecutor pool(python, {.pooled = {.threads = 1}});
  BusyTask busy(pool);
  Event stopped;
  auto late = pool.with({.timeout = 1ms}).submit([stops = AtDeath([&] {
                                                    REQUIRE(!python.stop(50ms).clean);
                                                    stopped.set();
                                                  })] {});
  stopped.wait();
  REQUIRE_THROWS(get(late), TimeoutError);
  REQUIRE_THROWS(get(busy.future()), AbandonedError);
  REQUIRE(!python.stop(kPatience).clean);
  busy.release();
  _exit(12);
}
TEST(EndScenario, StopMayBeCalledByADestructorOfATaskThatIsTooLate) {
  const Child child = run_scenario("stop_in_a_destructor_of_a_late_task");
  EXPECT_TRUE(child.exited_with(12)) << child;
}

Event holding;
Event let_go;
/// Called by a Python thread, which keeps its GIL.
extern "C" void hold_the_gil() {
  holding.set();
  let_go.wait();
}

SCENARIO(python_thread_delays_home) {
  Runtime python;
  SubinterpreterExecutor pool(python, {.pinned_workers = 1});
  exec(pool.main(),
       "import atexit, ctypes, sys, threading, types\n"
       "atexit.register(print, 'bye')\n"
       "gate = sys.modules['gate'] = types.ModuleType('gate')\n"
       "gate.lock = threading.Lock(); gate.lock.acquire()\n"
       "hold = ctypes.PYFUNCTYPE(None)(" +
           std::to_string(reinterpret_cast<std::uintptr_t>(&hold_the_gil)) +
           ")\n"
           "def work():\n"
           "  gate.lock.acquire()\n"
           "  hold()\n"
           "threading.Thread(target=work).start()\n");
  std::vector<Future<int>> futures;
  {
    // The home thread has run some of these when it yields its GIL, and does not get it back.
    BusyTask busy(pool.main());
    (void)pool.main().call<void>("gate:lock.release");
    for (int i = 0; i < 1000; ++i)
      futures.push_back(pool.main().call<int>("builtins:sum", std::vector<int>(10'000)));
  }
  holding.wait();
  REQUIRE(pool.stop({.timeout = kPatience}).abandoned.empty());
  StopReport report;
  SleepingThread stopper([&] { report = python.stop(kPatience); });
  stopper.wait_until_asleep();
  let_go.set();
  stopper.join();
  REQUIRE(report.clean);
  std::fflush(stdout);
  return 0;
}
TEST(EndScenario, AHomeThreadWithoutATaskIsNotStuck) {
  const Child child = run_scenario("python_thread_delays_home");
  EXPECT_TRUE(child.exited_with(0)) << child;
  EXPECT_EQ(child.out, "bye\n");
}

SCENARIO(executors_that_end_together) {
  Runtime python;
  SubinterpreterExecutor first(python, {.pooled = {.threads = 1}});
  SubinterpreterExecutor second(python, {.pooled = {.threads = 1}});
  BusyTask of_first(first);
  BusyTask of_second(second);
  auto queued = second.submit([] {});
  // The first one's task ends after the second one's queue has been cancelled.
  std::thread releaser([&] {
    queued.wait();
    of_first.release();
    of_second.release();
  });
  REQUIRE(python.stop(kPatience).clean);
  releaser.join();
  REQUIRE_THROWS(queued.get(), CancelledError);
  of_first.future().get();
  of_second.future().get();
  return 0;
}
TEST(EndScenario, ExecutorsAreStoppedSideBySide) {
  const Child child = run_scenario("executors_that_end_together");
  EXPECT_TRUE(child.exited_with(0)) << child;
}

SCENARIO(spinning_atexit) {
  Runtime python;
  SubinterpreterExecutor pool(python, {.pooled = {.threads = 1}});
  exec(scenario_arguments().at(0) == "main" ? pool.main() : static_cast<const Submitter&>(pool),
       "import atexit\ndef spin():\n  while True: pass\natexit.register(spin)");
  const auto start = std::chrono::steady_clock::now();
  const StopReport report = python.stop(300ms);
  REQUIRE(!report.clean);
  REQUIRE(std::chrono::steady_clock::now() - start < kPatience);
  std::fflush(stdout);
  _exit(9);
}
TEST(EndScenario, AnAtexitCallbackThatNeverEndsIsBounded) {
  for (const char* where : {"main", "worker"}) {
    const Child child = run_scenario("spinning_atexit", {where});
    EXPECT_TRUE(child.exited_with(9)) << child;
  }
}

SCENARIO(executor_destroyed_in_its_task) {
  Runtime python;
  auto pool = std::make_unique<SubinterpreterExecutor>(python, ExecutorOptions{.pinned_workers = 2});
  auto destroyed = std::make_shared<Event>();
  auto future = pool->pinned(0).submit([&pool, destroyed] {
    pool.reset();
    destroyed->set();
  });
  REQUIRE_THROWS(get(future), AbandonedError);
  destroyed->wait();
  REQUIRE(python.stop(kPatience).problems.size() <= 1);
  return 0;
}
TEST(EndScenario, AnExecutorMayBeDestroyedInItsOwnTask) {
  const Child child = run_scenario("executor_destroyed_in_its_task");
  EXPECT_TRUE(child.exited_with(0)) << child;
}

SCENARIO(runtime_destroyed_in_its_task) {
  auto python = std::make_unique<Runtime>();
  SubinterpreterExecutor pool(*python, {.pooled = {.threads = 1}});
  get(pool.submit([&] { python.reset(); }));
  REQUIRE(get(pool.call<int>("builtins:abs", -3)) == 3);
  return 0;
}
TEST(EndScenario, ARuntimeDestroyedInItsOwnTaskIsLeftAlone) {
  const Child child = run_scenario("runtime_destroyed_in_its_task");
  EXPECT_TRUE(child.exited_with(0)) << child;
  EXPECT_NE(child.err.find("inside one of its own tasks"), std::string::npos) << child;
}

// --- fork ------------------------------------------------------------------------------------------

/// Runs `child` in a forked process, to its normal exit.
template <class F>
int in_forked_child(F child) {
  std::fflush(nullptr);
  const pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // should it hang, it goes with the test
    child();
    std::exit(5);  // with static destructors
  }
  int status = 0;
  REQUIRE(waitpid(pid, &status, 0) == pid);
  REQUIRE(WIFEXITED(status));
  return WEXITSTATUS(status);
}

SCENARIO(forks) {
  auto python = std::make_unique<Runtime>();
  auto pool = std::make_unique<SubinterpreterExecutor>(*python, ExecutorOptions{.pinned_workers = 1});
  auto function = pool->function<int(int)>("builtins:abs");
  REQUIRE(get(function(-3)) == 3);
  auto ready = function(-4);
  ready.wait();
  Event release;
  auto started = std::make_shared<Event>();
  auto busy = pool->submit([&release, started] {
    started->set();
    release.wait();
  });
  started->wait();
  auto queued = pool->pinned(0).submit([] {});
  const int status = in_forked_child([&] {
    REQUIRE_THROWS(Runtime(), RuntimeStateError);
    REQUIRE_THROWS(SubinterpreterExecutor(*python), RuntimeStateError);
    REQUIRE_THROWS(python->stop(1s), RuntimeStateError);
    REQUIRE_THROWS(python->define_module("helpers", ""), RuntimeStateError);
    REQUIRE_THROWS(function(-1), RuntimeStateError);
    REQUIRE_THROWS(pool->function<int(int)>("builtins:abs"), RuntimeStateError);
    REQUIRE_THROWS(pool->submit([] {}), RuntimeStateError);
    REQUIRE_THROWS(pool->pinned(0).submit([] {}), RuntimeStateError);
    REQUIRE_THROWS(pool->main().submit([] {}), RuntimeStateError);
    REQUIRE_THROWS(pool->call<int>("builtins:abs", 1), RuntimeStateError);
    REQUIRE_THROWS(pool->map<int>("builtins:abs", std::vector<int>{1}), RuntimeStateError);
    REQUIRE_THROWS(pool->drain(1s), RuntimeStateError);
    REQUIRE_THROWS(pool->stop({}), RuntimeStateError);
    REQUIRE_THROWS(pool->cancel_queued(), RuntimeStateError);
    pool->close();
    bool refused = false;
    try {
      const auto outcome = pool->try_submit([] {});
      refused = !outcome.has_value() && outcome.error().code() == ErrorCode::kRuntimeState;
    } catch (const RuntimeStateError&) {
      refused = true;
    }
    REQUIRE(refused);
    REQUIRE_THROWS(queued.wait(), RuntimeStateError);
    REQUIRE_THROWS((void)queued.wait_for(1ms), RuntimeStateError);
    REQUIRE_THROWS(queued.get(), RuntimeStateError);
    REQUIRE(!queued.cancel());
    REQUIRE(ready.get() == 4);
    (void)pool->counts();
    (void)python->interpreter_count();
    pool.reset();
    python.reset();
  });
  REQUIRE(status == 5);
  // The parent is untouched.
  release.set();
  get(busy);
  get(queued);
  REQUIRE(ready.get() == 4);
  REQUIRE(get(pool->pinned(0).call<int>("builtins:abs", -7)) == 7);
  REQUIRE(pool->stop({}).interpreters_left == 0);
  REQUIRE(python->stop(kPatience).clean);
  return 0;
}
TEST(ForkScenario, AForkedChildGetsTypedErrorsAndExitsNormally) {
  const Child child = run_scenario("forks");
  EXPECT_TRUE(child.exited_with(0)) << child;
}

SCENARIO(forks_under_load) {
  Runtime python;
  SubinterpreterExecutor pool(python, {.pooled = {.threads = 2}});
  std::atomic<bool> stop = false;
  std::thread load([&] {
    while (!stop) get(pool.call<int>("builtins:abs", -1));
  });
  for (int i = 0; i < 10; ++i) {
    const int status = in_forked_child([&] {
      REQUIRE_THROWS(pool.submit([] {}), RuntimeStateError);
      _exit(5);  // `load` and the executor are on this stack, in the parent
    });
    REQUIRE(status == 5);
  }
  stop = true;
  load.join();
  return 0;
}
// Not with a sanitizer: at a fork glibc takes care of the locks of its malloc, and they do not of theirs, so
// a child that allocates (an exception, say) hangs when another thread was just allocating.
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
TEST(ForkScenario, ForkingUnderLoadHarmsNobody) {
  const Child child = run_scenario("forks_under_load");
  EXPECT_TRUE(child.exited_with(0)) << child;
}
#endif

// --- a Python that was there before -----------------------------------------------------------------

void host_starts_python() {
  PyConfig config;
  PyConfig_InitIsolatedConfig(&config);
  config.install_signal_handlers = 0;
  REQUIRE(!PyStatus_Exception(PyConfig_SetBytesString(&config, &config.executable, INTERPOOL_TEST_PYTHON)));
  REQUIRE(!PyStatus_Exception(PyConfig_SetBytesString(&config, &config.program_name, INTERPOOL_TEST_PYTHON)));
  REQUIRE(!PyStatus_Exception(Py_InitializeFromConfig(&config)));
  PyConfig_Clear(&config);
  REQUIRE(PyRun_SimpleString("import atexit; atexit.register(print, 'bye of the host')\nkept = 5") == 0);
}

SCENARIO(adopted) {
  host_starts_python();
  REQUIRE(PyGILState_Check() == 1);
  {
    Runtime python;  // with the GIL held
    REQUIRE(python.adopted());
    REQUIRE(python::current_thread_state() != nullptr);
    SubinterpreterExecutor pool(python, {.pooled = {.threads = 2}});
    // Creating interpreters and importing extensions needs main's GIL while this thread waits.
    REQUIRE(get(pool.call<int>("zlib:crc32", Bytes{})) == 0);
    REQUIRE(get(pool.main().submit([](Worker& w) { return w.eval<int>("kept"); })) == 5);
    REQUIRE(
        eval<bool>(pool.main(),
                   "__import__('threading').current_thread() is not __import__('threading').main_thread()"));
    exec(pool.main(), "added = 6");
    python.define_module("helpers", "import sys\ndef answer():\n    return 42\n");
    REQUIRE(PyRun_SimpleString("import helpers; assert helpers.answer() == 42") == 0);
    REQUIRE(get(pool.call<int>("helpers:answer")) == 42);
    python.define_module("later", "x = 1\n");
    REQUIRE(PyRun_SimpleString("assert added == 6") == 0);
    REQUIRE(pool.drain(kPatience));
    REQUIRE(pool.stop({}).interpreters_left == 0);
    REQUIRE(python.stop(kPatience).clean);
    REQUIRE_THROWS(python.define_module("too_late", ""), RuntimeStateError);
    REQUIRE(python::current_thread_state() != nullptr);
    std::puts("stopped");
    std::fflush(stdout);
  }
  REQUIRE(PyRun_SimpleString("assert kept == 5") == 0);
  REQUIRE(PyRun_SimpleString("import later; assert later.x == 1 and helpers.answer() == 42") ==
          0);  // they stay
  REQUIRE(Py_FinalizeEx() == 0);
  std::puts("finalized");
  return 0;
}
TEST(AdoptedScenario, AHostsPythonIsUsedAndLeftToTheHost) {
  const Child child = run_scenario("adopted");
  EXPECT_TRUE(child.exited_with(0)) << child;
  EXPECT_EQ(child.out, "stopped\nbye of the host\nfinalized\n");
  EXPECT_EQ(child.err, "");
}

SCENARIO(adopted_without_the_gil) {
  host_starts_python();
  PyThreadState* state = PyEval_SaveThread();
  {
    Runtime python;
    REQUIRE(python.adopted());
    SubinterpreterExecutor pool(python, {.pinned_workers = 1});
    exec(pool.pinned(0), "import json, zlib");
    REQUIRE(get(pool.main().call<int>("builtins:abs", -3)) == 3);
  }
  PyEval_RestoreThread(state);
  REQUIRE(Py_FinalizeEx() == 0);
  return 0;
}
TEST(AdoptedScenario, AHostThatReleasedTheGilWorksToo) {
  const Child child = run_scenario("adopted_without_the_gil");
  EXPECT_TRUE(child.exited_with(0)) << child;
  EXPECT_EQ(child.out, "bye of the host\n");
}

SCENARIO(adopted_has_the_module) {
  host_starts_python();
  {
    Runtime python;
    SubinterpreterExecutor pool(python, {.pooled = {.threads = 1}});
    REQUIRE(eval<std::string>(pool, "__import__('interpool').worker_id()") == "pooled-0");
    REQUIRE(eval<std::string>(pool.main(), "__import__('interpool').worker_id()") == "main");
    REQUIRE(PyRun_SimpleString("import interpool\nassert interpool.worker_id() is None") == 0);
  }
  // What the host's Python has got hold of works on when the library has gone.
  REQUIRE(PyRun_SimpleString("assert interpool.worker_id() is None and interpool.task_name() is None") == 0);
  REQUIRE(Py_FinalizeEx() == 0);
  return 0;
}
TEST(AdoptedScenario, TheModuleIsInTheHostsInterpreterToo) {
  const Child child = run_scenario("adopted_has_the_module");
  EXPECT_TRUE(child.exited_with(0)) << child;
  EXPECT_EQ(child.err, "");
}

SCENARIO(adopted_streams_stay) {
  host_starts_python();
  std::vector<std::string> lines;  // one worker prints
  {
    RuntimeOptions options;
    if (scenario_arguments().at(0) == "discard") {
      options.stdio = Stdio::kDiscard;
    } else {
      options.output = [&](const OutputLine& line) { lines.emplace_back(line.text); };
    }
    Runtime python(options);
    SubinterpreterExecutor pool(python, {.pooled = {.threads = 1}});
    exec(pool, "print('worker')");
    exec(pool.main(), "print('main')");
  }
  REQUIRE(scenario_arguments().at(0) == "discard" || lines == std::vector<std::string>{"worker"});
  REQUIRE(Py_FinalizeEx() == 0);
  return 0;
}
TEST(AdoptedScenario, TheHostsStreamsAreItsOwn) {
  for (const char* kind : {"discard", "callback"}) {
    const Child child = run_scenario("adopted_streams_stay", {kind});
    EXPECT_TRUE(child.exited_with(0)) << child;
    EXPECT_EQ(count(child.out, "main"), 1U) << child;
    EXPECT_EQ(count(child.out, "worker"), 0U) << child;
  }
}

}  // namespace
}  // namespace interpool::test
