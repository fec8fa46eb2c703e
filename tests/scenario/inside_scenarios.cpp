// What Python code prints and logs reaches the host. Each in a process of its own, for a Runtime with other
// options.
#include "support/scenario.h"
#include "support/sync.h"

#include "python/cpython.h"

#include <interpool/interpool.h>

#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

namespace interpool::test {
namespace {

/// A line that owns its text.
struct Printed {
  OutputStream stream = OutputStream::kStdout;
  std::string text;
  bool newline = true;
  std::string worker;
  std::string task;
  bool operator==(const Printed&) const = default;
};

/// What the callback has got so far.
class Output {
 public:
  [[nodiscard]] OutputCallback callback() {
    return [this](const OutputLine& line) {
      const std::lock_guard lock(mutex_);
      lines_.push_back({line.stream, std::string(line.text), line.newline, std::string(line.worker),
                        std::string(line.task)});
    };
  }
  /// And forgets it.
  std::vector<Printed> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(lines_, {});
  }

 private:
  std::mutex mutex_;
  std::vector<Printed> lines_;
};

void exec(const Submitter& lane, const std::string& code, const std::string& name = "") {
  get(lane.with({.name = name}).submit([&](Worker& worker) { worker.exec(code); }));
}
template <class T>
T eval(const Submitter& lane, const std::string& expression) {
  return get(lane.submit([&](Worker& worker) { return worker.eval<T>(expression); }));
}

constexpr OutputStream kOut = OutputStream::kStdout;
constexpr OutputStream kErr = OutputStream::kStderr;

constexpr const char* kUseHandler =
    "import interpool, logging\n"
    "log = logging.getLogger('app.db')\n"
    "log.setLevel(1)\n"
    "log.handlers = [interpool.LogHandler()]\n";

/// Says which lines were not as wanted, for the test to show.
void require_lines(const std::vector<Printed>& lines, const std::vector<Printed>& wanted) {
  for (const Printed& line : lines) {
    std::fprintf(stderr, "%d '%s' %d from '%s' in '%s'\n", static_cast<int>(line.stream),
                 line.text.substr(0, 80).c_str(), static_cast<int>(line.newline), line.worker.c_str(),
                 line.task.c_str());
  }
  REQUIRE(lines == wanted);
}

/// The scenario has to end well, without a word on the process's own stdout.
void expect_quiet_success(const Child& child) {
  EXPECT_TRUE(child.exited_with(0)) << child;
  EXPECT_EQ(child.out, "");
}

SCENARIO(lines) {
  Output output;
  Runtime python({.output = output.callback()});
  SubinterpreterExecutor pool(python, {.pinned_workers = 1, .pooled = {.threads = 1}});
  const std::map<std::string, Submitter> lanes = {
      {"pinned-0", pool.pinned(0)}, {"pooled-0", pool}, {"main", pool.main()}};
  for (const auto& [id, lane] : lanes) {
    exec(lane, "print('one', 2); import sys; print('\u00fc\\n\\nthree', file=sys.stderr)", "a task");
    require_lines(output.take(), {{kOut, "one 2", true, id, "a task"},
                                  {kErr, "\u00fc", true, id, "a task"},
                                  {kErr, "", true, id, "a task"},
                                  {kErr, "three", true, id, "a task"}});
    get(lane.call<void>("builtins:print", "by a function"));
    require_lines(output.take(), {{kOut, "by a function", true, id, "builtins:print"}});
  }
  return 0;
}
TEST(OutputScenario, LinesComeWithStreamWorkerAndTask) { expect_quiet_success(run_scenario("lines")); }

SCENARIO(unfinished) {
  Output output;
  Runtime python({.output = output.callback()});
  SubinterpreterExecutor pool(python, {.pinned_workers = 1});
  const Submitter lane = pool.pinned(0);
  exec(lane, "import sys\nprint('a', end='', flush=True)\nsys.stdout.flush()\nprint('b')");
  require_lines(output.take(), {{kOut, "ab", true, "pinned-0", ""}});
  // The end of its task is the end of a line.
  exec(lane, "print('rest', end='')\nsys.stderr.write('of both')", "first");
  require_lines(output.take(),
                {{kOut, "rest", false, "pinned-0", "first"}, {kErr, "of both", false, "pinned-0", "first"}});
  exec(lane, "print('x')", "second");
  require_lines(output.take(), {{kOut, "x", true, "pinned-0", "second"}});
  {
    AttachedThread here = pool.attach();
    here.run([](Worker& worker) { worker.exec("print('called', end='')"); });
    require_lines(output.take(), {{kOut, "called", false, "attached-0", ""}});
    here.run([](Worker& worker) { worker.exec("import atexit\natexit.register(print, 'bye', end='')"); });
    here.release();
    require_lines(output.take(), {{kOut, "bye", false, "attached-0", ""}});
  }
  std::thread([&] {
    pool.attach().run([](Worker& worker) {
      worker.exec("import atexit\natexit.register(print, 'bye', 1)\nprint('before')");
    });
  }).join();
  require_lines(output.take(),
                {{kOut, "before", true, "attached-1", ""}, {kOut, "bye 1", true, "attached-1", ""}});
  // So is that of a thread.
  exec(lane,
       "import threading\n"
       "thread = threading.Thread(target=lambda: print('from a thread', end=''))\n"
       "thread.start()\n"
       "thread.join()\n");
  // A joined thread may have a moment to go in the operating system.
  std::vector<Printed> lines;
  wait_until([&] {
    lines = output.take();
    return !lines.empty();
  });
  require_lines(lines, {{kOut, "from a thread", false, "", ""}});
  // And that of an interpreter.
  for (const Submitter& end : {lane, pool.main()})
    exec(
        end,
        "import atexit\natexit.register(lambda: print('bye', __import__('interpool').worker_id(), end='.'))");
  REQUIRE(pool.stop({.drain = kPatience}).interpreters_left == 0);
  require_lines(output.take(), {{kOut, "bye pinned-0.", false, "pinned-0", ""}});
  REQUIRE(python.stop(kPatience).clean);
  require_lines(output.take(), {{kOut, "bye main.", false, "main", ""}});
  return 0;
}
TEST(OutputScenario, AnUnfinishedLineIsHandedOverWhenWhatWroteItEnds) {
  expect_quiet_success(run_scenario("unfinished"));
}

SCENARIO(long_lines) {
  Output output;
  Runtime python({.output = output.callback()});
  SubinterpreterExecutor pool(python, {.pinned_workers = 1});
  const Submitter lane = pool.pinned(0);
  const std::string full(kLongestOutputLine, 'x');
  exec(lane, "print('x' * " + std::to_string(kLongestOutputLine) + ")");
  require_lines(output.take(), {{kOut, full, true, "pinned-0", ""}});
  exec(lane, "print('x' * " + std::to_string(2 * kLongestOutputLine + 1) + ")");
  require_lines(output.take(), {{kOut, full, false, "pinned-0", ""},
                                {kOut, full, false, "pinned-0", ""},
                                {kOut, "x", true, "pinned-0", ""}});
  // In small portions, and not within a character.
  exec(lane, "for i in range(" + std::to_string(kLongestOutputLine) + "): print('x', end='')\nprint('y')");
  require_lines(output.take(), {{kOut, full, false, "pinned-0", ""}, {kOut, "y", true, "pinned-0", ""}});
  exec(lane, "print('x' * " + std::to_string(kLongestOutputLine - 1) + " + '\u20ac')");
  require_lines(output.take(),
                {{kOut, full.substr(1), false, "pinned-0", ""}, {kOut, "\u20ac", true, "pinned-0", ""}});
  return 0;
}
TEST(OutputScenario, ALongLineIsCut) { expect_quiet_success(run_scenario("long_lines")); }

SCENARIO(like_a_file) {
  Output output;
  Runtime python({.output = output.callback()});
  SubinterpreterExecutor pool(python, {.pinned_workers = 1});
  for (const Submitter& lane : {pool.pinned(0), pool.main()}) {
    exec(lane,
         "import io, sys\n"
         "for name, stream in ('<stdout>', sys.stdout), ('<stderr>', sys.stderr):\n"
         "    assert isinstance(stream, io.TextIOBase) and isinstance(stream.buffer, io.BufferedIOBase)\n"
         "    assert not stream.isatty() and stream.writable() and not stream.readable() and not "
         "stream.seekable()\n"
         "    assert stream.encoding == 'utf-8' and stream.name == name and stream.mode == 'w'\n"
         "    assert not stream.closed\n"
         "    try:\n"
         "        stream.fileno()\n"
         "        assert False\n"
         "    except io.UnsupportedOperation:\n"
         "        pass\n"
         "    try:\n"
         "        stream.buffer.write('text')\n"
         "        assert False\n"
         "    except TypeError:\n"
         "        pass\n"
         "assert sys.__stdout__ is sys.stdout and sys.__stderr__ is sys.stderr\n"
         "assert sys.stdout.write('four') == 4 and sys.stdout.buffer.write(b' bytes\\n') == 7\n"
         "sys.stdout.writelines(['a\\n', 'b\\n'])\n"
         "sys.stdout.buffer.write(memoryview(b'\\xff\\xc3\\xbc\\xc3\\n'))\n"
         "print('\\ud800')\n"
         "sys.stdout.reconfigure(encoding='latin-1')\n"
         "print('\\xfc')\n"
         "sys.stdout.reconfigure(encoding='utf-8')\n");
    std::vector<std::string> texts;
    for (const Printed& line : output.take()) texts.push_back(line.text);
    REQUIRE(texts ==
            (std::vector<std::string>{"four bytes", "a", "b", "\\xff\u00fc\\xc3", "\\ud800", "\\xfc"}));
    // Closing it is the program's own affair.
    exec(lane, "sys.stdout.close()\nsys.stdout = sys.__stdout__ = None\nprint('nowhere')\n");
    REQUIRE(output.take().empty());
  }
  return 0;
}
TEST(OutputScenario, TheStreamsAreLikeOthers) { expect_quiet_success(run_scenario("like_a_file")); }

SCENARIO(pythons_own_words) {
  Output output;
  Runtime python({.output = output.callback()});
  SubinterpreterExecutor pool(python, {.pinned_workers = 1});
  for (const Submitter& lane : {pool.pinned(0), pool.main()}) {
    exec(lane,
         "class Loud:\n"
         "    def __del__(self):\n"
         "        raise ValueError('in a destructor')\n"
         "Loud()\n"
         "import threading, logging, warnings\n"
         "thread = threading.Thread(target=lambda: {}['in a thread'])\n"
         "thread.start()\n"
         "thread.join()\n"
         "logging.warning('logged')\n"
         "warnings.warn('a warning')\n");
    const std::vector<Printed> lines = output.take();
    for (const char* text : {"ValueError: in a destructor", "KeyError: 'in a thread'", "WARNING:root:logged",
                             "UserWarning: a warning"}) {
      REQUIRE(std::ranges::any_of(lines, [&](const Printed& line) {
        return line.stream == kErr && line.text.find(text) != std::string::npos;
      }));
    }
  }
  return 0;
}
TEST(OutputScenario, WhatPythonItselfSaysComesToo) {
  const Child child = run_scenario("pythons_own_words");
  expect_quiet_success(child);
  EXPECT_EQ(child.err, "");
}

SCENARIO(many_threads) {
  constexpr int kThreads = 4;
  constexpr int kLines = 200;
  Output output;
  Runtime python({.output = output.callback()});
  SubinterpreterExecutor pool(python, {.pooled = {.threads = 4, .interpreters = 2}});
  // In each of three interpreters threads that give up the GIL between the parts of a line.
  std::vector<Future<void>> tasks;
  const auto print = [](const std::string& name) {
    return "import sys, threading\n"
           "sys.setswitchinterval(1e-6)\n"
           "def print_lines(name, lines, count):\n"
           "    def run(me):\n"
           "        for i in range(lines):\n"
           "            print(name, me, i, me, i)\n"
           "    threads = [threading.Thread(target=run, args=(k,)) for k in range(count)]\n"
           "    for thread in threads: thread.start()\n"
           "    for thread in threads: thread.join()\n"
           "print_lines('" +
           name + "', " + std::to_string(kLines) + ", " + std::to_string(kThreads) + ")\n";
  };
  for (int i = 0; i < 4; ++i) {
    tasks.push_back(
        pool.submit([code = print("task" + std::to_string(i))](Worker& worker) { worker.exec(code); }));
  }
  tasks.push_back(pool.main().submit([code = print("main")](Worker& worker) { worker.exec(code); }));
  for (auto& task : tasks) get(task);
  std::map<std::string, int> next;  // of a thread
  std::size_t count = 0;
  for (const Printed& line : output.take()) {
    const std::string who = line.text.substr(0, line.text.find(' ') + 2);  // "task1 3"
    const std::string me = who.substr(who.size() - 1);
    const std::string number = std::to_string(next[who]++);
    REQUIRE(line.text ==
            std::string(who).append(" ").append(number).append(" ").append(me).append(" ").append(number));
    ++count;
  }
  REQUIRE(count == std::size_t{5} * kThreads * kLines);
  return 0;
}
TEST(OutputScenario, LinesOfConcurrentThreadsDoNotMix) { expect_quiet_success(run_scenario("many_threads")); }

SCENARIO(callback_does_things) {
  std::vector<std::string> logged;
  std::mutex mutex;
  SubinterpreterExecutor* other = nullptr;
  std::vector<Future<int>> lengths;
  Runtime python({.output =
                      [&](const OutputLine& line) {
                        if (line.text == "throw") throw std::runtime_error("out of the callback");
                        if (line.text == "throw an int") throw 3;
                        // Whoever holds a GIL here would keep the other interpreter from importing.
                        if (line.text == "submit")
                          REQUIRE(get(other->main().call<int>("builtins:len", line.text)) == 6);
                      },
                  .log =
                      [&](LogLevel, std::string_view line) {
                        const std::lock_guard lock(mutex);
                        logged.emplace_back(line);
                      }});
  SubinterpreterExecutor pool(python, {.pinned_workers = 2});
  other = &pool;
  exec(pool.pinned(0), "print('throw'); print('throw an int'); print('submit'); ended = True");
  REQUIRE(eval<bool>(pool.pinned(0), "ended"));
  const std::lock_guard lock(mutex);
  REQUIRE(logged.size() == 2);
  REQUIRE(logged[0].find("out of the callback") != std::string::npos);
  return 0;
}
TEST(OutputScenario, TheCallbackMayThrowAndUseTheLibrary) {
  const Child child = run_scenario("callback_does_things");
  expect_quiet_success(child);
  EXPECT_EQ(child.err, "");
}

SCENARIO(interpreter_runs_on) {
  Event entered;
  Event release;
  Runtime python({.output = [&](const OutputLine&) {
    REQUIRE(python::current_thread_state() == nullptr);
    entered.set();
    release.wait();
  }});
  SubinterpreterExecutor pool(python, {.pooled = {.threads = 2, .interpreters = 1}});
  auto printing = pool.call<void>("builtins:print", "slowly");
  entered.wait();
  // Its GIL is not held while the host is told.
  REQUIRE(get(pool.call<int>("builtins:abs", -3)) == 3);
  REQUIRE(!printing.ready());
  release.set();
  get(printing);
  return 0;
}
TEST(OutputScenario, NoGilIsHeldDuringTheCallback) {
  expect_quiet_success(run_scenario("interpreter_runs_on"));
}

SCENARIO(after_the_end) {
  auto lines = std::make_shared<std::atomic<int>>(0);
  auto python = std::make_unique<Runtime>(RuntimeOptions{.output = [lines](const OutputLine&) { ++*lines; }});
  auto printed = std::make_shared<std::atomic<bool>>(false);
  auto release = std::make_shared<Event>();
  auto started = std::make_shared<Event>();
  {
    SubinterpreterExecutor pool(*python, {.pinned_workers = 1});
    (void)pool.pinned(0).submit([=](Worker& worker) {
      worker.exec("print('before')");
      started->set();
      release->wait();
      worker.exec("print('after')");
      *printed = true;
    });
    started->wait();
    REQUIRE(pool.stop({.timeout = std::chrono::milliseconds(1)}).abandoned.size() == 1);
  }
  REQUIRE(lines.use_count() == 2);
  REQUIRE(!python->stop(std::chrono::milliseconds(1)).clean);  // an interpreter is left
  REQUIRE(lines.use_count() == 1);                             // the callback has gone
  release->set();
  wait_until([&] { return printed->load(); });
  REQUIRE(*lines == 1);
  std::fflush(nullptr);
  _exit(0);
}
TEST(OutputScenario, NothingIsHandedOverAfterTheEnd) { expect_quiet_success(run_scenario("after_the_end")); }

SCENARIO(stuck_callback) {
  // Never destroyed: a thread is still in it.
  auto* entered = new Event;
  Runtime python({.output = [entered](const OutputLine&) {
    entered->set();
    for (;;) pause();
  }});
  {
    SubinterpreterExecutor pool(python, {.pinned_workers = 1, .stop_timeout = std::chrono::milliseconds(1)});
    (void)pool.call<void>("builtins:print", "x");
    entered->wait();
  }
  const StopReport report = python.stop(std::chrono::milliseconds(1));
  REQUIRE(std::ranges::any_of(report.problems, [](const std::string& problem) {
    return problem.find("callback did not return") != std::string::npos;
  }));
  std::fflush(nullptr);
  _exit(0);
}
TEST(OutputScenario, ACallbackThatDoesNotReturnIsReported) {
  expect_quiet_success(run_scenario("stuck_callback"));
}

// As unit/references_test.cpp does for what needs no Runtime of its own.
SCENARIO(references) {
  Runtime python({.output = [](const OutputLine&) {}, .python_log = [](const LogRecord&) {}});
  SubinterpreterExecutor pool(python, {.pinned_workers = 1});
  const Submitter worker = pool.pinned(0);
  const auto print = [&] {
    exec(worker,
         "import sys\n"
         "print('a', 2, sep='-')\n"
         "print('b', end='', flush=True)\n"
         "sys.stderr.buffer.write(b'\\xff\\n')\n"
         "try:\n"
         "    sys.stdout.buffer.write('text')\n"
         "except TypeError:\n"
         "    pass\n"
         "log.info('%s', 'logged')\n");
  };
  exec(worker, kUseHandler);
  const auto held = [&] {
    exec(worker,
         "import gc\ngc.collect()\ncount = getattr(sys, 'gettotalrefcount', sys.getallocatedblocks)\n");
    return eval<int>(worker, "count()");
  };
  for (int i = 0; i < 100; ++i) print();
  (void)held();
  const int before = held();
  for (int i = 0; i < 1000; ++i) print();
  const int after = held();
  std::printf("%d\n", std::abs(after - before));
  return 0;
}
TEST(OutputScenario, PrintingLeavesNothingBehind) {
  const Child child = run_scenario("references");
  EXPECT_TRUE(child.exited_with(0)) << child;
  EXPECT_LT(std::stoi("0" + child.out), 200) << "of the interpreter's own doing are a few";
}

SCENARIO(output_and_stdio) {
  for (const Stdio stdio : {Stdio::kUnbuffered, Stdio::kDiscard})
    REQUIRE_THROWS(Runtime({.stdio = stdio, .output = [](const OutputLine&) {}}), UsageError);
  return 0;
}
TEST(OutputScenario, ACallbackAndAnotherPlaceContradictEachOther) {
  expect_quiet_success(run_scenario("output_and_stdio"));
}

SCENARIO(forked) {
  Output output;
  Runtime python({.output = output.callback()});
  SubinterpreterExecutor pool(python, {.pooled = {.threads = 1}});
  exec(pool.main(),
       "import os, warnings\n"
       "warnings.simplefilter('ignore')\n"
       "child = os.fork()\n"
       "if child == 0:\n"
       "    print('in the child')\n"
       "    os._exit(0)\n"
       "os.waitpid(child, 0)\n");
  REQUIRE(output.take().empty());
  return 0;
}
// Not with ThreadSanitizer, which does not like forks of programs with threads.
#if !defined(__SANITIZE_THREAD__)
TEST(OutputScenario, AForkedChildPrintsWhereTheProcessDoes) {
  const Child child = run_scenario("forked");
  EXPECT_TRUE(child.exited_with(0)) << child;
  EXPECT_EQ(child.out, "in the child\n");
}
#endif

// --- logging -------------------------------------------------------------------------------------

struct Logged {
  LogLevel level = LogLevel::kOff;
  std::string logger;
  std::string message;
  std::string worker;
  std::string task;
  bool operator==(const Logged&) const = default;
};

class Records {
 public:
  [[nodiscard]] LogRecordCallback callback() {
    return [this](const LogRecord& record) {
      REQUIRE(python::current_thread_state() == nullptr);
      const std::lock_guard lock(mutex_);
      records_.push_back({record.level, std::string(record.logger), std::string(record.message),
                          std::string(record.worker), std::string(record.task)});
      if (record.message == "throw") throw std::runtime_error("out of the callback");
    };
  }
  /// And forgets them.
  std::vector<Logged> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(records_, {});
  }

 private:
  std::mutex mutex_;
  std::vector<Logged> records_;
};

SCENARIO(records) {
  Records records;
  Runtime python({.python_log = records.callback()});
  SubinterpreterExecutor pool(python, {.pinned_workers = 1, .pooled = {.threads = 1}});
  const std::map<std::string, Submitter> lanes = {
      {"pinned-0", pool.pinned(0)}, {"pooled-0", pool}, {"main", pool.main()}};
  for (const auto& [id, lane] : lanes) {
    // Nothing of it is there before somebody asks for it.
    if (id != "main") REQUIRE(!eval<bool>(lane, "'logging' in __import__('sys').modules"));
    exec(lane, kUseHandler);
    exec(lane,
         "for level in 1, 10, 20, 25, 30, 40, 50, 10**6: log.log(level, 'level %d \u00fc', level)\n"
         "log.error('\\ud800')\n",
         "a task");
    std::vector<Logged> wanted;
    for (const auto& [number, level] :
         std::vector<std::pair<int, LogLevel>>{{1, LogLevel::kTrace},
                                               {10, LogLevel::kDebug},
                                               {20, LogLevel::kInfo},
                                               {25, LogLevel::kInfo},
                                               {30, LogLevel::kWarn},
                                               {40, LogLevel::kError},
                                               {50, LogLevel::kCritical},
                                               {1000000, LogLevel::kCritical}}) {
      wanted.push_back({level, "app.db", "level " + std::to_string(number) + " \u00fc", id, "a task"});
    }
    wanted.push_back({LogLevel::kError, "app.db", "\\ud800", id, "a task"});
    REQUIRE(records.take() == wanted);
    exec(lane,
         "try:\n"
         "    {}['key']\n"
         "except KeyError:\n"
         "    log.exception('it failed')\n"
         "log.handlers[0].setFormatter(logging.Formatter('<%(message)s>'))\n"
         "log.handlers[0].setLevel(logging.ERROR)\n"
         "log.warning('too low')\n"
         "log.error('formatted')\n");
    const std::vector<Logged> failed = records.take();
    REQUIRE(failed.size() == 2);
    REQUIRE(failed[0].message.starts_with("it failed\nTraceback (most recent call last):\n"));
    REQUIRE(failed[0].message.ends_with("\nKeyError: 'key'"));
    REQUIRE(failed[1] == (Logged{LogLevel::kError, "app.db", "<formatted>", id, ""}));
    REQUIRE(eval<bool>(lane,
                       "interpool.LogHandler is type(log.handlers[0]) and "
                       "issubclass(interpool.LogHandler, logging.Handler)"));
    REQUIRE(eval<std::string>(lane, "str(interpool.LogHandler)") == "<class 'interpool.LogHandler'>");
    REQUIRE_THROWS(eval<bool>(lane, "interpool.Nothing"), PythonError);
  }
  return 0;
}
TEST(LogScenario, RecordsComeWithLevelLoggerWorkerAndTask) {
  const Child child = run_scenario("records");
  expect_quiet_success(child);
  EXPECT_EQ(child.err, "");
}

SCENARIO(bad_records) {
  Output output;
  Records records;
  std::vector<std::string> logged;  // by one thread
  Runtime python({.output = output.callback(),
                  .log = [&](LogLevel, std::string_view line) { logged.emplace_back(line); },
                  .python_log = records.callback()});
  SubinterpreterExecutor pool(python, {.pinned_workers = 1});
  const Submitter lane = pool.pinned(0);
  exec(lane, kUseHandler);
  exec(lane, "log.error('throw')");
  REQUIRE(records.take().size() == 1);
  REQUIRE(logged.size() == 1 && logged[0].find("out of the callback") != std::string::npos);
  // As with other handlers, a record that cannot be formatted is told on stderr, and raises nothing.
  exec(lane, "log.error('%d', 'no number')");
  REQUIRE(records.take().empty());
  const std::vector<Printed> lines = output.take();
  REQUIRE(!lines.empty() && lines[0].text == "--- Logging error ---" && lines[0].stream == kErr);
  return 0;
}
TEST(LogScenario, ARecordThatCannotBeHandedOnRaisesNothing) {
  expect_quiet_success(run_scenario("bad_records"));
}

SCENARIO(records_to_the_log) {
  const LogLevel level = scenario_arguments().at(0) == "info" ? LogLevel::kInfo : LogLevel::kWarn;
  std::vector<std::string> lines;  // by one thread
  Runtime python({.log =
                      [&](LogLevel of, std::string_view line) {
                        lines.emplace_back(line).append(of == LogLevel::kInfo ? " (info)" : "");
                      },
                  .log_level = level});
  SubinterpreterExecutor pool(python, {.pinned_workers = 1});
  exec(pool.pinned(0), kUseHandler);
  exec(pool.pinned(0), "log.info('low'); log.error('two\\nlines')", "GET /");
  for (const std::string& line : lines) std::puts(line.c_str());
  return 0;
}
TEST(LogScenario, WithoutACallbackRecordsAreLogLines) {
  const Child info = run_scenario("records_to_the_log", {"info"});
  EXPECT_TRUE(info.exited_with(0)) << info;
  EXPECT_EQ(info.out, "[pinned-0 'GET /'] app.db: low (info)\n[pinned-0 'GET /'] app.db: two\nlines\n");
  const Child warn = run_scenario("records_to_the_log", {"warn"});
  EXPECT_TRUE(warn.exited_with(0)) << warn;
  EXPECT_EQ(warn.out, "[pinned-0 'GET /'] app.db: two\nlines\n");
}

SCENARIO(many_interpreters_log_and_print) {
  constexpr int kTasks = 40;
  constexpr int kThreads = 3;
  Output output;
  Records records;
  Runtime python({.output = output.callback(), .python_log = records.callback()});
  SubinterpreterExecutor pool(python, {.pinned_workers = 2, .pooled = {.threads = 2, .interpreters = 1}});
  const std::string code = std::string(kUseHandler) +
                           "import threading\n"
                           "def speak(): print('printed', 1); log.info('logged %d', 1)\n"
                           "def speak_all(count):\n"
                           "    threads = [threading.Thread(target=speak) for _ in range(count)]\n"
                           "    for thread in threads: thread.start()\n"
                           "    for thread in threads: thread.join()\n"
                           "speak_all(" +
                           std::to_string(kThreads) + ")\n";
  const std::vector<Submitter> lanes{pool.pinned(0), pool.pinned(1), pool, pool, pool.main()};
  for (const Submitter& lane : lanes) exec(lane, kUseHandler);
  std::vector<Future<void>> tasks;
  for (int i = 0; i < kTasks; ++i) {
    tasks.push_back(lanes[static_cast<std::size_t>(i) % lanes.size()].submit(
        [&code](Worker& worker) { worker.exec(code); }));
  }
  for (auto& task : tasks) get(task);
  const std::vector<Printed> lines = output.take();
  REQUIRE(lines.size() == std::size_t{kTasks} * kThreads);
  REQUIRE(std::ranges::all_of(lines, [](const Printed& line) { return line.text == "printed 1"; }));
  const std::vector<Logged> messages = records.take();
  REQUIRE(messages.size() == std::size_t{kTasks} * kThreads);
  REQUIRE(std::ranges::all_of(messages, [](const Logged& record) { return record.message == "logged 1"; }));
  return 0;
}
TEST(LogScenario, InterpretersLogAndPrintSideBySide) {
  expect_quiet_success(run_scenario("many_interpreters_log_and_print"));
}

}  // namespace
}  // namespace interpool::test
