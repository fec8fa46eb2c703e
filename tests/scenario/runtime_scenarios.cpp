// The life of a Runtime: start, options, environment, streams, logging.
#include "support/scenario.h"
#include "support/sync.h"

#include <interpool/interpool.h>

#include <gtest/gtest.h>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace interpool::test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

/// A folder for one test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "interpool-scenario-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = name;
  }
  ~TemporaryFolder() { fs::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const fs::path& path() const { return path_; }
  void write(const fs::path& file, const std::string& text) const {
    fs::create_directories((path_ / file).parent_path());
    std::ofstream(path_ / file) << text;
  }

 private:
  fs::path path_;
};

template <class T>
T eval(const Submitter& lane, const std::string& expression) {
  return get(lane.submit([&](Worker& worker) { return worker.eval<T>(expression); }));
}
void exec(const Submitter& lane, const std::string& code) {
  get(lane.submit([&](Worker& worker) { worker.exec(code); }));
}

// --- start and stop ------------------------------------------------------------------------------

SCENARIO(starts_and_stops) {
  Runtime python;
  REQUIRE(!python.adopted());
  REQUIRE(python.python_version().starts_with("3."));
  REQUIRE(python.interpreter_count() == 0);
  SubinterpreterExecutor pool(python, {.pinned_workers = 1});
  REQUIRE(get(pool.call<int>("builtins:abs", -3)) == 3);
  REQUIRE(get(pool.main().call<int>("builtins:abs", -3)) == 3);
  REQUIRE(python.interpreter_count() == 1);
  const StopReport report = python.stop(kPatience);
  REQUIRE(report.clean);
  REQUIRE(report.problems.empty());
  REQUIRE(python.interpreter_count() == 0);
  std::puts("stopped");
  return 3;
}
TEST(RuntimeScenario, StartsAndStops) {
  const Child child = run_scenario("starts_and_stops");
  EXPECT_TRUE(child.exited_with(3)) << child;
  EXPECT_EQ(child.out, "stopped\n");
  EXPECT_EQ(child.err, "");
}

SCENARIO(only_destructors) {
  Runtime python;
  SubinterpreterExecutor pool(python, {.pooled = {.threads = 2}});
  REQUIRE(get(pool.call<int>("builtins:abs", -3)) == 3);
  (void)pool.call<int>("builtins:abs", -4);
  return 0;
}
TEST(RuntimeScenario, DestructorsAreEnough) {
  const Child child = run_scenario("only_destructors");
  EXPECT_TRUE(child.exited_with(0)) << child;
  EXPECT_EQ(child.err, "");
}

SCENARIO(one_runtime_per_process) {
  {
    Runtime first;
    REQUIRE_THROWS(Runtime(), RuntimeStateError);
    SubinterpreterExecutor pool(first, {.pooled = {.threads = 1}});
    REQUIRE(get(pool.call<int>("builtins:abs", -3)) == 3);
  }
  REQUIRE_THROWS(Runtime(), RuntimeStateError);
  return 0;
}
TEST(RuntimeScenario, ASecondRuntimeIsRefused) {
  const Child child = run_scenario("one_runtime_per_process");
  EXPECT_TRUE(child.exited_with(0)) << child;
}

SCENARIO(bad_options) {
  REQUIRE_THROWS(Runtime({.module_paths = {"/no/such/folder"}}), UsageError);
  REQUIRE_THROWS(Runtime({.virtual_env = "/no/such/folder"}), UsageError);
  REQUIRE_THROWS(Runtime({.virtual_env = "/"}), UsageError);
  REQUIRE_THROWS(Runtime({.stop_timeout = -1ms}), UsageError);
  const std::string no_name(300, 'x');  // longer than any file's may be
  REQUIRE_THROWS(Runtime({.module_paths = {no_name}}), UsageError);
  REQUIRE_THROWS(Runtime({.virtual_env = "/" + no_name}), UsageError);
  std::string name = (fs::temp_directory_path() / "interpool-scenario-XXXXXX").string();
  REQUIRE(::mkdtemp(name.data()) != nullptr);
  fs::current_path(name);
  fs::remove(name);
  REQUIRE_THROWS(Runtime({.virtual_env = "venv"}), UsageError);
  REQUIRE_THROWS(Runtime({.module_paths = {"folder"}}), UsageError);
  fs::current_path("/");
  Runtime python;  // a refusal does not use up the one that may be
  SubinterpreterExecutor pool(python, {.pooled = {.threads = 1}});
  REQUIRE(get(pool.call<int>("builtins:abs", -3)) == 3);
  return 0;
}
TEST(RuntimeScenario, OptionsAreCheckedAtOnce) {
  const Child child = run_scenario("bad_options");
  EXPECT_TRUE(child.exited_with(0)) << child;
}

SCENARIO(use_after_stop) {
  Runtime python;
  SubinterpreterExecutor pool(python, {.pinned_workers = 1});
  auto function = pool.function<int(int)>("builtins:abs");
  REQUIRE(get(function(-3)) == 3);
  auto unread = function(-4);
  unread.wait();
  const StopReport report = python.stop(kPatience);
  REQUIRE(report.clean);
  REQUIRE(python.stop(kPatience).clean);
  REQUIRE_THROWS(SubinterpreterExecutor(python), RuntimeStateError);
  REQUIRE_THROWS(function(-1), ShutdownError);
  REQUIRE_THROWS(pool.main().submit([] {}), ShutdownError);
  REQUIRE(!pool.try_submit([] {}).has_value());
  REQUIRE(unread.get() == 4);
  REQUIRE(pool.drain(1s));
  REQUIRE(pool.cancel_queued() == 0);
  const ExecutorReport ended = pool.stop({});
  REQUIRE(ended.tasks.accepted == 2 && ended.tasks.completed == 2);
  return 0;
}
TEST(RuntimeScenario, UseAfterStopIsATypedError) {
  const Child child = run_scenario("use_after_stop");
  EXPECT_TRUE(child.exited_with(0)) << child;
  EXPECT_EQ(child.err, "");
}

SCENARIO(executors_made_while_it_ends) {
  const auto threads_left = [] {
    std::error_code error;  // a thread may end while we look at it
    for (const auto& entry : fs::directory_iterator("/proc/self/task", error)) {
      std::string name;
      std::getline(std::ifstream(entry.path() / "comm"), name);
      if (name.starts_with("interpool")) return true;
    }
    return false;
  };
  Runtime python;
  std::atomic<int> made = 0;
  std::atomic<int> refused = 0;
  std::vector<std::thread> makers;
  for (int i = 0; i < 3; ++i) {
    makers.emplace_back([&] {
      try {
        for (;;) {
          SubinterpreterExecutor pool(python, {.pinned_workers = 1, .pooled = {.threads = 2}});
          ++made;
          // The end may come at any point here, too.
          const auto task = pool.main().try_submit([] {});
          REQUIRE(task || task.error().code() == ErrorCode::kShutdown);
        }
      } catch (const RuntimeStateError&) {
        ++refused;
      }
    });
  }
  while (made < 50) std::this_thread::yield();
  const StopReport report = python.stop(kPatience);
  for (const std::string& problem : report.problems) std::fprintf(stderr, "%s\n", problem.c_str());
  for (std::thread& maker : makers) maker.join();
  REQUIRE(refused == 3);
  REQUIRE(python.interpreter_count() == 0);
  wait_until([&] { return !threads_left(); });
  return report.clean ? 0 : 1;
}
TEST(RuntimeScenario, ExecutorsMadeWhileItEndsAreRefusedOrEnded) {
  for (int round = 0; round < 5; ++round) {
    const Child child = run_scenario("executors_made_while_it_ends");
    ASSERT_TRUE(child.exited_with(0)) << child;
    EXPECT_EQ(child.err, "");
  }
}

SCENARIO(executor_outlives_runtime) {
  auto python = std::make_unique<Runtime>();
  SubinterpreterExecutor pool(*python, {.pooled = {.threads = 2}});
  auto value = pool.call<int>("builtins:abs", -3);
  value.wait();
  Event started;
  Event release;
  auto running = pool.submit([&] {
    started.set();
    release.wait();
    return 5;
  });
  started.wait();
  auto main_running = pool.main().submit([&] { release.wait(); });
  auto queued = pool.main().call<int>("builtins:abs", -3);
  std::thread releaser([&] {
    while (!queued.ready()) std::this_thread::yield();
    release.set();
  });
  python.reset();
  releaser.join();
  REQUIRE(value.get() == 3);
  REQUIRE(running.get() == 5);
  REQUIRE_THROWS(queued.get(), CancelledError);
  REQUIRE_THROWS(pool.call<int>("builtins:abs", 1), ShutdownError);
  return 0;
}
TEST(RuntimeScenario, AnExecutorMayOutliveItsRuntime) {
  const Child child = run_scenario("executor_outlives_runtime");
  EXPECT_TRUE(child.exited_with(0)) << child;
  EXPECT_EQ(child.err, "");
}

SCENARIO(made_and_destroyed_on_other_threads) {
  std::unique_ptr<Runtime> python;
  std::thread([&] { python = std::make_unique<Runtime>(); }).join();
  {
    SubinterpreterExecutor pool(*python, {.pooled = {.threads = 1}});
    REQUIRE(get(pool.call<int>("builtins:abs", -3)) == 3);
  }
  std::thread([&] { python.reset(); }).join();
  return 0;
}
TEST(RuntimeScenario, AnyThreadMayMakeOrDestroyIt) {
  const Child child = run_scenario("made_and_destroyed_on_other_threads");
  EXPECT_TRUE(child.exited_with(0)) << child;
}

// --- finding things ------------------------------------------------------------------------------

SCENARIO(finds_its_standard_library) {
  Runtime python;
  SubinterpreterExecutor pool(python, {.pooled = {.threads = 1}});
  for (const Submitter& lane : std::vector<Submitter>{pool, pool.main()}) {
    exec(lane, "import sys, os, json, zlib, sysconfig");
    REQUIRE(eval<std::string>(lane, "'%d.%d.%d' % sys.version_info[:3]") == python.python_version());
    REQUIRE(eval<bool>(lane, "os.path.exists(sys.executable)"));
    REQUIRE(eval<bool>(lane, "json.__file__.startswith(sys.prefix)"));
  }
  std::printf("%s\n", eval<std::string>(pool, "sys.prefix").c_str());
  return 0;
}
TEST(RuntimeScenario, FindsTheStandardLibraryWithNothingInTheEnvironment) {
  const Child child =
      run_scenario("finds_its_standard_library", {},
                   {{"PATH", "/no/such/folder"}, {"PYTHONHOME", std::nullopt}, {"PYTHONPATH", std::nullopt}});
  EXPECT_TRUE(child.exited_with(0)) << child;
  const Child python = run({INTERPOOL_TEST_PYTHON, "-I", "-c", "import sys; print(sys.base_prefix)"});
  EXPECT_EQ(child.out, python.out);
  EXPECT_EQ(child.err, "");
}

SCENARIO(module_paths) {
  const fs::path folder = scenario_arguments().at(0);
  fs::current_path(folder);
  Runtime python({.module_paths = {folder / "one", "two"}});
  fs::current_path("/");
  SubinterpreterExecutor pool(python, {.pooled = {.threads = 1}});
  for (const Submitter& lane : std::vector<Submitter>{pool, pool.main()}) {
    REQUIRE(eval<std::string>(lane, "__import__('interpool_who').name") == "one");
    REQUIRE(eval<std::string>(lane, "__import__('interpool_two').name") == "two");
    REQUIRE(eval<std::vector<std::string>>(lane, "__import__('sys').path[:2]") ==
            (std::vector<std::string>{folder / "one", folder / "two"}));
  }
  return 0;
}
TEST(RuntimeScenario, ModulePathsComeFirstAndInOrder) {
  const TemporaryFolder folder;
  folder.write("one/interpool_who.py", "name = 'one'\n");
  folder.write("two/interpool_who.py", "name = 'two'\n");
  folder.write("two/interpool_two.py", "name = 'two'\n");
  const Child child = run_scenario("module_paths", {fs::canonical(folder.path())});
  EXPECT_TRUE(child.exited_with(0)) << child;
}

SCENARIO(uses_environment) {
  Runtime python({.use_environment = scenario_arguments().at(0) == "use"});
  SubinterpreterExecutor pool(python, {.pooled = {.threads = 1}});
  for (const Submitter& lane : std::vector<Submitter>{pool, pool.main()}) {
    std::printf("%d ", get(lane.call<void>("interpool_who:f").then([](const Result<void>& r) {
                  return r.has_value() ? 1 : 0;
                })));
    std::printf("%d ", eval<int>(lane, "__import__('sys').flags.no_user_site"));
    std::printf("%d\n", eval<int>(lane, "__import__('sys').flags.optimize"));
  }
  return 0;
}
TEST(RuntimeScenario, TheEnvironmentCountsOnlyWhenAskedFor) {
  const TemporaryFolder folder;
  folder.write("interpool_who.py", "def f(): pass\n");
  const Environment environment{
      {"PYTHONPATH", folder.path()}, {"PYTHONOPTIMIZE", "1"}, {"PYTHONNOUSERSITE", std::nullopt}};
  const Child isolated = run_scenario("uses_environment", {"ignore"}, environment);
  EXPECT_TRUE(isolated.exited_with(0)) << isolated;
  EXPECT_EQ(isolated.out, "0 1 0\n0 1 0\n");
  const Child open = run_scenario("uses_environment", {"use"}, environment);
  EXPECT_TRUE(open.exited_with(0)) << open;
  EXPECT_EQ(open.out, "1 0 1\n1 0 1\n");
}

TEST(RuntimeScenario, ABrokenEnvironmentDoesNoHarm) {
  const Child child = run_scenario("only_destructors", {},
                                   {{"PYTHONHOME", "/no/such/folder"},
                                    {"PYTHONPATH", "/no/such/folder"},
                                    {"PYTHONSTARTUP", "/no/such/file"},
                                    {"PYTHONIOENCODING", "nonsense"}});
  EXPECT_TRUE(child.exited_with(0)) << child;
}

SCENARIO(virtual_env) {
  const std::string& venv = scenario_arguments().at(0);
  RuntimeOptions options;
  if (scenario_arguments().at(1) == "option") {
    options.virtual_env = venv;
  } else {
    options.use_environment = true;
  }
  Runtime python(options);
  SubinterpreterExecutor pool(python, {.pooled = {.threads = 1}});
  for (const Submitter& lane : std::vector<Submitter>{pool, pool.main()}) {
    exec(lane, "import sys, json, interpool_in_venv");
    REQUIRE(eval<std::string>(lane, "interpool_in_venv.name") == "venv");
    REQUIRE(eval<bool>(lane, "sys.prefix != sys.base_prefix"));
    REQUIRE(fs::equivalent(eval<std::string>(lane, "sys.prefix"), venv));
    REQUIRE(eval<bool>(lane, "json.__file__.startswith(sys.base_prefix)"));
  }
  return 0;
}
SCENARIO(bad_virtual_env) {
  try {
    Runtime python({.virtual_env = scenario_arguments().at(0)});
  } catch (const UsageError& error) {
    std::puts(error.message().c_str());
    return 0;
  }
  return 1;
}

TEST(RuntimeScenario, AVirtualEnvironmentIsUsed) {
  const TemporaryFolder folder;
  const fs::path venv = folder.path() / "venv";
  const Child made = run({INTERPOOL_TEST_PYTHON, "-m", "venv", "--without-pip", venv});
  ASSERT_TRUE(made.exited_with(0)) << made;
  const Child where =
      run({venv / "bin" / "python", "-c", "import site; print(site.getsitepackages()[0], end='')"});
  folder.write(fs::path(where.out) / "interpool_in_venv.py", "name = 'venv'\n");

  const Child option = run_scenario("virtual_env", {venv, "option"}, {{"VIRTUAL_ENV", std::nullopt}});
  EXPECT_TRUE(option.exited_with(0)) << option;
  const Child environment = run_scenario("virtual_env", {venv, "environment"}, {{"VIRTUAL_ENV", venv}});
  EXPECT_TRUE(environment.exited_with(0)) << environment;
  const Child ignored = run_scenario("only_destructors", {}, {{"VIRTUAL_ENV", "/no/such/folder"}});
  EXPECT_TRUE(ignored.exited_with(0)) << ignored;

  // The same, as if another version had made it.
  std::string config;
  {
    std::ifstream in(venv / "pyvenv.cfg");
    for (std::string line; std::getline(in, line);) {
      config += (line.starts_with("version") ? std::string("version = 3.9.1") : line) + "\n";
    }
  }
  folder.write("venv/pyvenv.cfg", config);
  const Child wrong = run_scenario("bad_virtual_env", {venv});
  EXPECT_TRUE(wrong.exited_with(0)) << wrong;
  EXPECT_NE(wrong.out.find("3.9.1"), std::string::npos) << wrong;
  EXPECT_NE(wrong.out.find(venv.string()), std::string::npos) << wrong;
}

TEST(RuntimeScenario, WhatIsNoVirtualEnvironmentIsRefused) {
  const TemporaryFolder folder;
  const Child child = run_scenario("bad_virtual_env", {folder.path()});
  EXPECT_TRUE(child.exited_with(0)) << child;
  EXPECT_NE(child.out.find("is not a virtual environment"), std::string::npos) << child;
}

// --- streams and log -------------------------------------------------------------------------------

SCENARIO(prints) {
  static const std::map<std::string, Stdio> kinds{
      {"inherit", Stdio::kInherit}, {"unbuffered", Stdio::kUnbuffered}, {"discard", Stdio::kDiscard}};
  const bool leave = scenario_arguments().at(1) == "leave";
  Runtime python({.stdio = kinds.at(scenario_arguments().at(0))});
  SubinterpreterExecutor pool(python, {.pooled = {.threads = 1}});
  exec(pool, "import sys\nsys.stdout.write('worker out;')\nsys.stderr.write('worker err;')");
  exec(pool.main(), "import sys\nsys.stdout.write('main out;')\nsys.stderr.write('main err;')");
  if (leave) _exit(0);
  return 0;
}
TEST(RuntimeScenario, PythonsStreamsGoWhereTheHostSays) {
  const Child inherit = run_scenario("prints", {"inherit", "end"});
  EXPECT_TRUE(inherit.exited_with(0)) << inherit;
  EXPECT_NE(inherit.out.find("worker out;"), std::string::npos) << inherit;
  EXPECT_NE(inherit.out.find("main out;"), std::string::npos) << inherit;
  EXPECT_NE(inherit.err.find("worker err;"), std::string::npos) << inherit;
  EXPECT_NE(inherit.err.find("main err;"), std::string::npos) << inherit;
  const Child unbuffered = run_scenario("prints", {"unbuffered", "leave"});
  EXPECT_TRUE(unbuffered.exited_with(0)) << unbuffered;
  EXPECT_EQ(unbuffered.out, "worker out;main out;") << "passed on at once, not at the end";
  const Child discard = run_scenario("prints", {"discard", "end"});
  EXPECT_TRUE(discard.exited_with(0)) << discard;
  EXPECT_EQ(discard.out + discard.err, "");
}

SCENARIO(logs) {
  std::mutex mutex;
  std::vector<std::string> lines;
  RuntimeOptions options;
  if (scenario_arguments().at(0) == "callback") {
    options.log = [&](LogLevel level, std::string_view line) {
      const std::lock_guard lock(mutex);
      lines.emplace_back(line);
      REQUIRE(level >= LogLevel::kWarn && level < LogLevel::kOff);
      REQUIRE(line.find('\n') == std::string_view::npos);
      throw std::runtime_error("dropped");
    };
  }
  if (scenario_arguments().at(0) == "off") options.log_level = LogLevel::kOff;
  Runtime python(options);
  {
    auto started = std::make_shared<Event>();
    SubinterpreterExecutor pool(python, {.name = "noisy", .pooled = {.threads = 1}, .stop_timeout = 1ms});
    (void)pool.submit([started] {
      started->set();
      for (;;) pause();
    });
    started->wait();
  }
  {
    const std::lock_guard lock(mutex);
    if (options.log) REQUIRE(!lines.empty() && lines[0].find("noisy") != std::string::npos);
  }
  std::fflush(nullptr);
  _exit(0);
}
TEST(RuntimeScenario, LogLinesGoToTheCallbackOrToStderr) {
  const Child callback = run_scenario("logs", {"callback"});
  EXPECT_TRUE(callback.exited_with(0)) << callback;
  EXPECT_EQ(callback.err, "");
  const Child standard = run_scenario("logs", {"stderr"});
  EXPECT_TRUE(standard.exited_with(0)) << standard;
  EXPECT_NE(standard.err.find("noisy"), std::string::npos) << standard;
  const Child off = run_scenario("logs", {"off"});
  EXPECT_TRUE(off.exited_with(0)) << off;
  EXPECT_EQ(off.err, "");
}

// --- signals -----------------------------------------------------------------------------------------

std::vector<struct sigaction> all_handlers() {
  std::vector<struct sigaction> handlers;
  for (int signal = 1; signal < NSIG; ++signal) {
    struct sigaction action{};
    (void)sigaction(signal, nullptr, &action);
    handlers.push_back(action);
  }
  return handlers;
}
volatile std::sig_atomic_t interrupts = 0;

SCENARIO(signals_are_the_hosts) {
  std::signal(SIGINT, [](int) { interrupts = interrupts + 1; });
  const auto before = all_handlers();
  {
    Runtime python;
    SubinterpreterExecutor pool(python, {.pooled = {.threads = 1}});
    for (const Submitter& lane : std::vector<Submitter>{pool, pool.main()})
      exec(lane, "import signal, threading, socket");
    const auto after = all_handlers();
    for (std::size_t i = 0; i < before.size(); ++i) {
      REQUIRE(before[i].sa_handler == after[i].sa_handler);
      REQUIRE(before[i].sa_flags == after[i].sa_flags);
    }
    std::raise(SIGINT);
    REQUIRE(interrupts == 1);
    REQUIRE(get(pool.main().call<int>("builtins:abs", -3)) == 3);
  }
  const auto ended = all_handlers();
  for (std::size_t i = 0; i < before.size(); ++i) REQUIRE(before[i].sa_handler == ended[i].sa_handler);
  std::raise(SIGINT);
  REQUIRE(interrupts == 2);
  return 0;
}
TEST(RuntimeScenario, SignalHandlersStayTheHosts) {
  const Child child = run_scenario("signals_are_the_hosts");
  EXPECT_TRUE(child.exited_with(0)) << child;
}

// --- memory ----------------------------------------------------------------------------------------

// Not with the sanitizers, which take the memory of tasks from elsewhere and do not know limits.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

SCENARIO(forks_while_tasks_are_made) {
  Runtime python;
  SubinterpreterExecutor pool(python, {.pooled = {.threads = 1}});
  std::atomic<bool> stop = false;
  const auto make_tasks = [&] {
    std::vector<void*> tasks(300);
    while (!stop) {
      for (void*& task : tasks) task = detail::allocate_task(128);
      for (void* task : tasks) detail::free_task(task, 128);
    }
  };
  std::thread first(make_tasks);
  std::thread second(make_tasks);
  for (int i = 0; i < 150; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(30);  // ends a child that hangs
      // The first of its size on this thread, so that the memory comes from what all threads share.
      REQUIRE_THROWS(pool.submit([] {}), RuntimeStateError);
      for (int k = 0; k < 300; ++k) (void)detail::allocate_task(128);
      std::exit(5);  // with thread-locals
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 5);
  }
  stop = true;
  first.join();
  second.join();
  return 0;
}
TEST(MemoryScenario, AForkedChildNeedsNoLockToMakeATask) {
  const Child child = run_scenario("forks_while_tasks_are_made");
  EXPECT_TRUE(child.exited_with(0)) << child;
}

/// Leaves the process `bytes` of address space more than it uses.
class MemoryLimit {
 public:
  explicit MemoryLimit(std::size_t bytes) {
    REQUIRE(getrlimit(RLIMIT_AS, &before_) == 0);
    std::size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    const rlimit limit{pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE)) + bytes, before_.rlim_max};
    REQUIRE(setrlimit(RLIMIT_AS, &limit) == 0);
  }
  ~MemoryLimit() { (void)setrlimit(RLIMIT_AS, &before_); }
  MemoryLimit(const MemoryLimit&) = delete;
  MemoryLimit& operator=(const MemoryLimit&) = delete;

 private:
  rlimit before_{};
};

SCENARIO(text_does_not_fit_into_memory) {
  Runtime python;
  SubinterpreterExecutor pool(python, {.pooled = {.threads = 1}});
  get(pool.submit([](Worker& worker) {
    // Python and malloc have no reserves of this size.
    worker.exec("euros = '\\u20ac' * 2**25");
    worker.exec("text = 'x' * 2**27");
    const MemoryLimit limit(std::size_t{32} << 20);
    REQUIRE_THROWS(worker.eval<std::string>("euros"), ConversionError);
    REQUIRE_THROWS(worker.eval<std::string>("text"), std::bad_alloc);
    // An error's text is not worth another error.
    REQUIRE_THROWS(worker.exec("raise ValueError(euros)"), PythonError);
    REQUIRE_THROWS(worker.exec("raise ValueError(text)"), PythonError);
    REQUIRE(worker.eval<std::string>("'small'") == "small");
  }));
  return 0;
}
TEST(MemoryScenario, TextThatDoesNotFitIsAnErrorAndNotEmpty) {
  const Child child = run_scenario("text_does_not_fit_into_memory");
  EXPECT_TRUE(child.exited_with(0)) << child;
}

#endif

}  // namespace
}  // namespace interpool::test
