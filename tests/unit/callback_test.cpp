// C++ callables as arguments: what Python can do with them, on which threads, and until when.
#include "support/busy.h"
#include "support/pool.h"
#include "support/runtime.h"
#include "support/sync.h"

#include <interpool/interpool.h>

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <new>
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

/// Python code that keeps what it is given as `f`, and tells how calls of it end.
constexpr const char* kKeep =
    "f = None\n"
    "def keep(callback):\n"
    "    global f\n"
    "    f = callback\n"
    "def error_of(call):\n"
    "    try:\n"
    "        return 'no error but %r' % (call(),)\n"
    "    except BaseException as error:\n"
    "        return f'{type(error).__name__}: {error}'\n"
    "def call_in_thread():\n"
    "    import threading\n"
    "    results = []\n"
    "    thread = threading.Thread(target=lambda: results.append(error_of(f)))\n"
    "    thread.start()\n"
    "    thread.join()\n"
    "    return results[0]\n";

void prepare(const Submitter& worker) {
  get(worker.submit([](Worker& python) { python.exec(kKeep); }));
}
template <class F>
void keep(const Submitter& worker, F&& callback) {
  get(worker.call<void>("__main__:keep", std::forward<F>(callback)));
}
template <class T>
T eval_on(const Submitter& worker, const std::string& expression) {
  return get(worker.submit([&](Worker& python) { return python.eval<T>(expression); }));
}

class Callbacks : public WithOneWorker {
 protected:
  void SetUp() override { prepare(pool()); }
  void TearDown() override {
    exec("f = None");
    WithOneWorker::TearDown();
  }
};

// ---- Values
// ------------------------------------------------------------------------------------------------

TEST_F(Callbacks, ArgumentsAndResultsConvert) {
  keep(pool(), Callback([](int number, const std::string& text, std::vector<double> numbers) {
         numbers.push_back(number);
         return std::pair(text + "!", numbers);
       }));
  EXPECT_EQ(eval<std::string>("repr(f(1, 'text', [2.5]))"), "('text!', [2.5, 1.0])");
}

TEST_F(Callbacks, NothingIsNone) {
  int calls = 0;
  keep(pool(), Callback([&calls] { ++calls; }));
  EXPECT_EQ(eval<std::string>("repr(f())"), "None");
  EXPECT_EQ(calls, 1);
}

int twice(int number) { return 2 * number; }

TEST_F(Callbacks, AnyCallableWillDo) {
  keep(pool(), Callback(twice));
  EXPECT_EQ(eval<int>("f(2)"), 4);
  keep(pool(), Callback<double(double)>([](auto number) { return number / 2; }));
  EXPECT_EQ(eval<double>("f(3)"), 1.5);
  keep(pool(), Callback([owned = std::make_unique<int>(5)] { return *owned; }));
  EXPECT_EQ(eval<int>("f()"), 5);
  keep(pool(), Callback([] { return "a literal"; }));
  EXPECT_EQ(eval<std::string>("f()"), "a literal");
  keep(pool(), Callback([](std::string&& mine) noexcept { return std::move(mine); }));
  EXPECT_EQ(eval<std::string>("f('moved')"), "moved");
}

TEST_F(Callbacks, CopiesShareTheCallable) {
  const Callback next([count = 0]() mutable { return ++count; });
  const Callback copy = next;  // NOLINT(performance-unnecessary-copy-initialization): what the test is about
  keep(pool(), next);
  EXPECT_EQ(eval<int>("f()"), 1);
  keep(pool(), copy);
  EXPECT_EQ(eval<int>("f()"), 2);
}

TEST_F(Callbacks, StdFunctionIsOneOrNone) {
  keep(pool(), std::function<int(int)>(twice));
  EXPECT_EQ(eval<int>("f(2)"), 4);
  keep(pool(), std::function<int(int)>());
  EXPECT_TRUE(eval<bool>("f is None"));
  keep(pool(), std::optional<Callback<int(int)>>());
  EXPECT_TRUE(eval<bool>("f is None"));
  EXPECT_EQ(repr(std::vector<std::function<int(int)>>{nullptr, nullptr}), "[None, None]");
}

TEST_F(Callbacks, ResultMayBeAnotherOne) {
  keep(pool(), Callback([](int left) { return Callback([left](int right) { return left + right; }); }));
  EXPECT_EQ(eval<int>("f(1)(2)"), 3);
}

TEST_F(Callbacks, HasANameInPython) {
  keep(pool(), Callback([](int, int) {}, "on_progress"));
  EXPECT_EQ(eval<std::string>("repr(f)"), "<interpool.NativeCallback 'on_progress' of 2 arguments>");
  EXPECT_EQ(eval<std::string>("f.__name__"), "on_progress");
  EXPECT_EQ(eval<std::string>("type(f).__module__ + '.' + type(f).__qualname__"), "interpool.NativeCallback");
  EXPECT_TRUE(eval<bool>("callable(f)"));
  EXPECT_EQ(eval<std::string>("error_of(type(f))"),
            "TypeError: cannot create 'interpool.NativeCallback' instances");
  EXPECT_TRUE(eval<bool>("__import__('weakref').ref(f)() is f"));
  keep(pool(), Callback([] {}));
  EXPECT_EQ(eval<std::string>("repr(f)"), "<interpool.NativeCallback of 0 arguments>");
}

TEST_F(Callbacks, WrongCallsAreTypeErrors) {
  bool called = false;
  keep(pool(), Callback([&](int, std::vector<std::optional<int>>) { called = true; }, "add"));
  const std::string title = "TypeError: the C++ callback 'add'";
  EXPECT_EQ(eval<std::string>("error_of(f)"), title + " takes 2 arguments, and was given 0");
  EXPECT_EQ(eval<std::string>("error_of(lambda: f(1, [], 3))"),
            title + " takes 2 arguments, and was given 3");
  EXPECT_EQ(eval<std::string>("error_of(lambda: f(1, numbers=[]))"), title + " takes no keyword arguments");
  EXPECT_EQ(eval<std::string>("error_of(lambda: f('1', []))"),
            title + ": args[0]: an int wanted, a 'str' found");
  EXPECT_EQ(eval<std::string>("error_of(lambda: f(1, [2, None, 2**40]))"),
            title + ": args[1][2]: the int 1099511627776 does not fit into a signed 32-bit integer");
  EXPECT_FALSE(called);
  // Nobody in Python caught it: it is Python's error.
  const auto error = error_of<PythonError>([] { eval<Value>("f()"); });
  EXPECT_EQ(error.type(), "TypeError");
}

TEST_F(Callbacks, ResultThatDoesNotConvertIsTheTasksError) {
  keep(pool(), Callback([] { return std::vector<std::string>{"fine", "\xFF"}; }));
  const auto error = decode_error<Value>("f()");
  EXPECT_EQ(error.path(), "result[1]");
}

TEST_F(Callbacks, ValueHoldsNone) {
  EXPECT_THROW((void)Value::from(Callback(twice)), ConversionError);
  EXPECT_THROW((void)Value::from(std::vector{std::function<int(int)>(twice)}), ConversionError);
}

TEST_F(Callbacks, WhatIsEmptyIsRefused) {
  EXPECT_NE(error_of<UsageError>([] { return Callback(std::function<void()>()); }).message().find("is empty"),
            std::string::npos);
  int (*none)(int) = nullptr;
  EXPECT_THROW(Callback callback(none), UsageError);
  Callback moved(twice);
  const Callback<int(int)> taken = std::move(moved);
  EXPECT_THROW(get(pool().call<void>("__main__:keep", moved)),
               UsageError);  // NOLINT(bugprone-use-after-move)
}

// ---- Exceptions
// --------------------------------------------------------------------------------------------

struct NoStandardException {
  int number;
};

TEST_F(Callbacks, ExceptionsAreSeenInPython) {
  keep(pool(), Callback([] { throw std::out_of_range("no such row"); }));
  EXPECT_EQ(eval<std::string>("error_of(f)"), "RuntimeError: no such row");
  keep(pool(), Callback([] { throw std::bad_alloc(); }));
  EXPECT_EQ(eval<std::string>("error_of(f)"), "MemoryError: std::bad_alloc");
  keep(pool(), Callback([] { throw NoStandardException{1}; }));
  EXPECT_EQ(eval<std::string>("error_of(f)"), "RuntimeError: a C++ exception that is not a std::exception");
  keep(pool(), Callback([] { throw UsageError("wrong", {.task = "another"}); }));
  EXPECT_EQ(eval<std::string>("error_of(f)"), "RuntimeError: wrong");
  keep(pool(), Callback([] { throw std::runtime_error("not UTF-8: \xFF"); }));
  EXPECT_EQ(eval<std::string>("error_of(f)"), "RuntimeError: not UTF-8: \xEF\xBF\xBD");
}

TEST_F(Callbacks, UncaughtExceptionsKeepTheirType) {
  keep(pool(), Callback([] { throw std::out_of_range("no such row"); }));
  EXPECT_THROW(eval<Value>("f()"), std::out_of_range);
  EXPECT_THROW(eval<Value>("[f() for i in range(3)]"), std::out_of_range);
  keep(pool(), Callback([] { throw NoStandardException{3}; }));
  EXPECT_THROW(eval<Value>("f()"), NoStandardException);
  keep(pool(), Callback([] { throw QueueFullError("full"); }));
  EXPECT_THROW(eval<Value>("f()"), QueueFullError);
  // Raised again by Python code, it is still itself.
  keep(pool(), Callback([] { throw std::out_of_range("no such row"); }));
  EXPECT_THROW(exec("try:\n    f()\nexcept RuntimeError as error:\n    error.add_note('here')\n    raise\n"),
               std::out_of_range);
}

TEST_F(Callbacks, ExceptionIsTheCauseOfAnother) {
  keep(pool(), Callback([] { throw std::out_of_range("no such row"); }));
  const auto error = error_of<PythonError>(
      [] { exec("try:\n    f()\nexcept RuntimeError as error:\n    raise KeyError('row') from error\n"); });
  EXPECT_EQ(error.type(), "KeyError");
  ASSERT_NE(error.cause(), nullptr);
  EXPECT_EQ(error.cause()->message, "no such row");
  const auto during =
      error_of<PythonError>([] { exec("try:\n    1/0\nexcept ZeroDivisionError:\n    f(1)\n"); });
  ASSERT_NE(during.cause(), nullptr);
  EXPECT_EQ(during.cause()->type, "ZeroDivisionError");
}

TEST_F(Callbacks, ErrorsOfPythonBecomeWhatTheyWere) {
  keep(pool(), Callback([](Worker& python, const std::string& code) { python.exec(code); }));
  EXPECT_EQ(eval<std::string>("error_of(lambda: f('int(\"x\")'))"),
            "ValueError: invalid literal for int() with base 10: 'x'");
  EXPECT_EQ(eval<std::string>("error_of(lambda: f('import sys; sys.exit(3)'))"), "SystemExit: 3");
  // No builtin, and one that cannot be made from its text alone.
  EXPECT_EQ(eval<std::string>("error_of(lambda: f('import json; json.loads(\"\")'))"),
            "RuntimeError: json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)");
  EXPECT_EQ(eval<std::string>("error_of(lambda: f('b\"\\\\xff\".decode()'))").substr(0, 32),
            "RuntimeError: UnicodeDecodeError");
  const auto error = error_of<PythonError>([] { eval<Value>("f('{}[1]')"); });
  EXPECT_EQ(error.type(), "KeyError");
}

// ---- Threads and the GIL
// -----------------------------------------------------------------------------------

TEST_F(Callbacks, WorkerCallsBackIntoPython) {
  keep(pool(), Callback([](Worker& python, int depth) {
         const std::string callee = "f(" + std::to_string(depth - 1) + ")";
         return depth == 0 ? 0 : 1 + python.eval<int>(callee);
       }));
  EXPECT_EQ(eval<int>("f(10)"), 10);
}

TEST_F(Callbacks, RecursionHasPythonsBound) {
  exec("def again():\n    return f()\n");
  keep(pool(), Callback([](Worker& python) { return python.call<int>("__main__:again"); }));
  const auto error = error_of<PythonError>([] { eval<Value>("f()"); });
  EXPECT_EQ(error.type(), "RecursionError");
  EXPECT_EQ(eval<int>("1 + 1"), 2);
}

TEST_F(Callbacks, WorkerOfAnOuterTaskHasNoGilInside) {
  const std::string error = get(pool().submit([](Worker& outer) {
    outer.call<void>("__main__:keep", Callback([&outer] { return outer.eval<int>("1"); }));
    return outer.eval<std::string>("error_of(f)");
  }));
  EXPECT_NE(error.find("RuntimeError: a Worker is used outside"), std::string::npos) << error;
}

TEST_F(Callbacks, PythonThreadsMayCall) {
  keep(pool(), Callback([] { return 42; }));
  EXPECT_EQ(eval<std::string>("call_in_thread()"), "no error but 42");
  keep(pool(), Callback([](Worker& python) { return python.eval<int>("42"); }));
  EXPECT_NE(eval<std::string>("call_in_thread()").find("a thread that runs no task"), std::string::npos);
}

TEST(CallbackThreads, InterpreterIsFreeWhileOneBlocks) {
  SubinterpreterExecutor pool(runtime(), {.pooled = {.threads = 2, .interpreters = 1}});
  prepare(pool);
  Event other_ran;
  keep(pool, Callback([&] { other_ran.wait(); }));
  auto blocked = pool.submit([](Worker& python) { return python.eval<Value>("f()"); });
  auto other = pool.submit([&](Worker& python) {
    python.exec("pass");
    other_ran.set();
  });
  get(other);
  get(blocked);
}

TEST(CallbackThreads, InterpreterIsFreeWhileACallableDies) {
  SubinterpreterExecutor pool(runtime(), {.pooled = {.threads = 2, .interpreters = 1}});
  prepare(pool);
  Event dying;
  Event other_ran;
  keep(pool, Callback([at_death = AtDeath([&] {
                         dying.set();
                         other_ran.wait();
                       })] {}));
  auto last = pool.submit([](Worker& python) { python.exec("f = None"); });
  dying.wait();
  get(pool.submit([&](Worker& python) { python.exec("pass"); }));
  other_ran.set();
  get(last);
}

TEST(CallbackThreads, InterpreterIsFreeWhileAnArgumentDies) {
  SubinterpreterExecutor pool(runtime(), {.pooled = {.threads = 2, .interpreters = 1}});
  Event dying;
  Event other_ran;
  // Python keeps nothing of it, so the task's own argument is the last one.
  auto last = pool.call<bool>("builtins:callable", Callback([at_death = AtDeath([&] {
                                                               dying.set();
                                                               other_ran.wait();
                                                             })] {}));
  dying.wait();
  EXPECT_EQ(get(pool.call<int>("builtins:abs", -1)), 1);
  other_ran.set();
  EXPECT_TRUE(get(last));
}

TEST(CallbackThreads, OneCallableServesAllInterpreters) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 2, .pooled = {.threads = 2, .interpreters = 1}});
  std::atomic<int> sum = 0;
  const Callback add([&](int number) { return std::vector<int>(8, sum += number); });
  std::vector<Future<void>> futures;
  for (int task = 0; task < 25; ++task) {
    for (const Submitter& lane : {pool.pinned(0), pool.pinned(1), pool.main(), pool.with({})}) {
      futures.push_back(lane.submit([add](Worker& python) {
        for (int i = 0; i < 20; ++i) python.call<std::vector<int>>("operator:call", add, 1);
      }));
    }
  }
  for (auto& future : futures) get(future);
  EXPECT_EQ(sum, 25 * 4 * 20);
}

class CallbackLanes : public testing::TestWithParam<Lane> {
 protected:
  [[nodiscard]] Submitter lane() const {
    switch (GetParam()) {
      case Lane::kPinned: return pool_->pinned(0);
      case Lane::kPooled: return *pool_;
      case Lane::kMain: return pool_->main();
      case Lane::kAttached: break;  // no way to submit to it
    }
    return *pool_;
  }

  // NOLINTNEXTLINE(*-non-private-member-variables-in-classes): a fixture's
  std::unique_ptr<SubinterpreterExecutor> pool_ = std::make_unique<SubinterpreterExecutor>(
      runtime(), ExecutorOptions{.pinned_workers = 1, .pooled = {.threads = 1}});
};

TEST_P(CallbackLanes, KeptOnesAreCalledByLaterTasks) {
  prepare(lane());
  keep(lane(), Callback([](Worker& python) { return std::string(to_string(python.lane())); }));
  EXPECT_EQ(eval_on<std::string>(lane(), "f()"), to_string(GetParam()));
  EXPECT_EQ(eval_on<std::string>(lane(), "f()"), to_string(GetParam()));
  get(lane().submit([](Worker& python) { python.exec("f = None"); }));
}

TEST_P(CallbackLanes, LastReferenceDestroysTheCallable) {
  prepare(lane());
  Mortal mortal;
  const auto record = mortal.record();
  std::optional<Callback<void()>> callback(std::in_place, [mortal] {});
  mortal.forget();
  keep(lane(), *callback);
  callback.reset();
  EXPECT_FALSE(record->died.is_set());
  get(lane().submit([](Worker& python) { python.exec("f = None"); }));
  EXPECT_TRUE(record->died.is_set());
}

TEST_P(CallbackLanes, CallableDiesWithItsInterpreterAtTheLatest) {
  if (GetParam() == Lane::kMain) return;  // it ends with the process
  prepare(lane());
  Mortal mortal;
  const auto record = mortal.record();
  keep(lane(), Callback([mortal = std::move(mortal)] {}));
  EXPECT_FALSE(record->died.is_set());
  pool_.reset();
  EXPECT_TRUE(record->died.is_set());
}

TEST_P(CallbackLanes, RefusesOnceItsExecutorIsGone) {
  prepare(lane());
  std::atomic<int> calls = 0;
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  keep(lane(), Callback([&] { return ++calls; }));
  get(lane().submit([&](Worker& python) {
    python.exec("import atexit, os\natexit.register(lambda: os.write(" + std::to_string(pipe_ends[1]) +
                ", error_of(f).encode()))\n");
  }));
  EXPECT_EQ(eval_on<int>(lane(), "f()"), 1);
  EXPECT_EQ(pool_->stop({}).callbacks_left, 0U);
  std::string text(200, '\0');
  if (GetParam() == Lane::kMain) {
    // The main interpreter goes on, and so does what it has kept.
    SubinterpreterExecutor next(runtime(), {.pinned_workers = 1});
    text = eval_on<std::string>(next.main(), "error_of(f)");
    get(next.main().submit([](Worker& python) { python.exec("f = None\natexit._clear()"); }));
  } else {
    const auto size = read(pipe_ends[0], text.data(), text.size());
    text.resize(static_cast<std::size_t>(size));
  }
  close(pipe_ends[0]);
  close(pipe_ends[1]);
  EXPECT_EQ(text,
            "RuntimeError: a C++ callback is called after the end of the executor that it was passed to");
  EXPECT_EQ(calls, 1);
}

INSTANTIATE_TEST_SUITE_P(Each, CallbackLanes, testing::Values(Lane::kPinned, Lane::kPooled, Lane::kMain),
                         [](const auto& lane) { return std::string(to_string(lane.param)); });

// ---- The end
// -----------------------------------------------------------------------------------------------

TEST(CallbacksAtTheEnd, AbandonedTaskStartsNone) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1});
  prepare(pool);
  std::atomic<int> calls = 0;
  Event called;
  keep(pool, Callback([&] {
         ++calls;
         called.set();
       }));
  auto endless = pool.submit([](Worker& python) { python.exec("while True: f()"); });
  called.wait();
  const ExecutorReport report = pool.stop({.timeout = 1ms});
  EXPECT_EQ(report.abandoned.size(), 1U);
  // What was inside has left by the time that the task fails of the refusal, and its interpreter ends.
  wait_for_interpreters(0);
  const int calls_then = calls;
  EXPECT_GT(calls_then, 0);
  EXPECT_THROW(get(endless), AbandonedError);
  (void)take_log();
}

/// A Python thread in the main interpreter, which no executor ends, that is inside a callback.
class ThreadInside {
 public:
  explicit ThreadInside(SubinterpreterExecutor& pool, std::function<void()> action = {}) {
    prepare(pool.main());
    keep(pool.main(), Callback([this, action = std::move(action)] {
           if (action) action();
           entered_.set();
           let_go_.wait();
         }));
    get(pool.main().submit([](Worker& python) {
      python.exec("import threading\nthread = threading.Thread(target=f)\nthread.start()\n");
    }));
    entered_.wait();
  }
  ~ThreadInside() {
    let_go_.set();
    SubinterpreterExecutor other(runtime(), {.pinned_workers = 1});
    get(other.main().submit([](Worker& python) { python.exec("thread.join()\nf = thread = None"); }));
  }
  ThreadInside(const ThreadInside&) = delete;
  ThreadInside& operator=(const ThreadInside&) = delete;
  void let_go() { let_go_.set(); }

 private:
  Event entered_;
  Event let_go_;
};

TEST(CallbacksAtTheEnd, StopWaitsForThoseThatRun) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1});
  ThreadInside thread(pool);
  ExecutorReport report;
  SleepingThread stopper([&] { report = pool.stop({.timeout = kPatience}); });
  stopper.wait_until_asleep();
  thread.let_go();
  stopper.join();
  EXPECT_EQ(report.callbacks_left, 0U);
}

TEST(CallbacksAtTheEnd, StopCountsThoseThatDoNotReturn) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1});
  const ThreadInside thread(pool);
  EXPECT_EQ(pool.stop({.timeout = 1ms}).callbacks_left, 1U);
  wait_for_log("1 calls of C++ callbacks had not returned");
  (void)take_log();
}

TEST(CallbacksAtTheEnd, CallbackCannotStopItsOwnExecutor) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1});
  std::optional<ErrorCode> code;
  const ThreadInside thread(pool,
                            [&] { code = error_of<DeadlockError>([&] { return pool.stop({}); }).code(); });
  EXPECT_EQ(code, ErrorCode::kDeadlock);
}

}  // namespace
}  // namespace interpool::test
